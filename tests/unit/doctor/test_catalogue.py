"""programs.toml, and how a process is recognised as one of its entries."""

from dataclasses import replace
from pathlib import Path

import pytest

from containerlab_probes.signals.names import number_of
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.programs.catalogue import Script, program_name, recognise, script_of
from tests.unit.doctor.support import process


def test_every_entry_is_complete() -> None:
    for entry in catalogue.entries():
        assert entry.source, entry.name
        assert entry.exe or entry.script or entry.title, entry.name
        for signal, reaction in entry.on.items():
            assert signal == "any" or number_of(signal), entry.name
            assert reaction.does in catalogue.VERBS, entry.name
        for signal in (*entry.graceful, *entry.handles):
            assert number_of(signal), entry.name
        for signal in entry.graceful:
            assert entry.reaction(signal) is not None, f"{entry.name}: nothing says what {signal} does"
            assert entry.on[signal].does not in catalogue.STAYS, f"{entry.name}: {signal} does not end it"
        assert "://" not in entry.source, entry.name


KNOWN = """
    nginx apache2 httpd haproxy lighttpd caddy traefik envoy postgres mysqld mariadbd mongod redis-server valkey-server
    memcached rabbitmq-server etcd php-fpm uwsgi gunicorn uvicorn hypercorn celery supervisord npm java puma sidekiq
    unicorn beam.smp dockerd containerd sshd cron rsyslogd named dnsmasq unbound squid varnishd tini dumb-init
    docker-init catatonit s6-svscan runsvdir systemd openrc-init su sudo timeout script
"""


@pytest.mark.parametrize("name", KNOWN.split())
def test_required_programs_are_known(name: str) -> None:
    """By the whole name of a file or script: a part of another name must not match."""
    assert any(name in one.exe | one.script for one in catalogue.entries())


def test_each_name_is_written_as_a_plain_string() -> None:
    """Only the entries whose text has a process's name in double quotes are parsed."""
    text = Path(catalogue.__file__).with_name("programs.toml").read_text(encoding="utf-8")
    blocks = text.split("[[program]]\n")[1:]
    assert len(blocks) == len(catalogue.entries()) == text.count("[[program]]")
    for block, entry in zip(blocks, catalogue.entries(), strict=True):
        assert all(f'"{name}"' in block for name in entry.exe | entry.script), entry.name
        assert entry.title is None or "\ntitle = " in block, entry.name


def test_no_entry_is_hidden_by_an_earlier_one() -> None:
    """The first match counts, so if two entries share a name, the earlier one must have more conditions."""
    seen: dict[str, str] = {}
    for entry in catalogue.entries():
        reachable = (entry.exe | entry.script) - seen.keys()
        assert reachable or entry.title is not None, f"{entry.name} is hidden by {seen}"
        if entry.args is None:
            seen |= dict.fromkeys(entry.exe | entry.script, entry.name)


def test_two_entries_of_one_name_fit_different_command_lines() -> None:
    entries = catalogue.entries()
    fit = {(one.name, one.args and one.args.pattern, one.title and one.title.pattern) for one in entries}
    assert len(fit) == len(entries)


def test_the_first_entry_that_fits_counts() -> None:
    debug = recognise(process(1, "apache2", "-X", exe="/usr/sbin/apache2"))
    usual = recognise(process(1, "apache2", "-k", "start", exe="/usr/sbin/apache2"))
    assert debug is not None
    assert usual is not None
    assert (debug.name, usual.name) == ("Apache httpd in debug mode", "Apache httpd")


@pytest.mark.parametrize(
    ("exe", "argv", "name"),
    [
        ("/usr/bin/python3.11", ("python3", "x.py"), "python"),
        ("/usr/sbin/php-fpm8.2", ("php-fpm: master process",), "php-fpm"),
        ("/usr/bin/node", ("npm start",), "node"),
        ("/bin/busybox", ("sleep", "5"), "sleep"),
        ("/bin/busybox", ("/bin/busybox", "sleep", "5"), "sleep"),
        ("/bin/busybox", ("sh", "-c", "x"), "busybox-sh"),
        ("/usr/bin/bash", ("-bash",), "bash"),
        ("/usr/lib/erlang/erts-13/bin/beam.smp", ("beam.smp",), "beam.smp"),
        ("/app/server (deleted)", ("server",), "server"),
        ("/usr/bin/postgres", ("postgres: writer",), "postgres"),
    ],
)
def test_program_name(exe: str, argv: tuple[str, ...], name: str) -> None:
    assert program_name(process(1, *argv, exe=exe)) == name


@pytest.mark.parametrize(
    ("argv", "name"), [(("/usr/bin/python3.11", "x.py"), "python"), (("busybox", "sh", "-c", "x"), "busybox-sh")]
)
def test_without_its_file_the_command_line_names_a_program(argv: tuple[str, ...], name: str) -> None:
    assert program_name(replace(process(1, *argv), exe="")) == name


def test_without_its_file_a_program_with_a_title_has_the_kernel_s_name() -> None:
    one = process(1, "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)")
    assert program_name(replace(one, name="php-fpm8.2", exe="")) == "php-fpm"


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        (("python3", "-u", "-W", "ignore", "app.py", "-c", "x"), Script("file", "app.py", ("-c", "x"))),
        (("python3", "-c", "pass", "x"), Script("code", "pass", ("x",))),
        (("python3", "-Im", "http.server", "80"), Script("module", "http.server", ("80",))),
        (("python3", "-mgunicorn", "x:y"), Script("module", "gunicorn", ("x:y",))),
        (("python3",), Script("none", "")),
        (("node", "--require", "./x.js", "--inspect", "s.js", "a"), Script("file", "s.js", ("a",))),
        (("node", "-e", "1"), Script("code", "1", ())),
        (("perl", "-we", "1"), Script("code", "1", ())),
        (("ruby", "-I", "lib", "-rx", "a.rb"), Script("file", "a.rb", ())),
        (("php", "-d", "a=b", "-r", "1;"), Script("code", "1;", ())),
        (("bash", "-c", "x y", "z"), Script("code", "x y", ("z",))),
        (("bash", "-lc", "x y"), Script("code", "x y", ())),
        (("bash", "-o", "pipefail", "-euc", "x"), Script("code", "x", ())),
        (("sh", "-c", "-e", "x"), Script("code", "x", ())),
        (("sh", "/entry.sh", "-c"), Script("file", "/entry.sh", ("-c",))),
        (("bash", "--", "/entry.sh"), Script("file", "/entry.sh", ())),
        (("bash",), Script("none", "")),
    ],
)
def test_script_of_an_interpreter(argv: tuple[str, ...], script: Script) -> None:
    assert script_of(process(1, *argv)) == script


def test_a_busybox_shell_has_a_script_too() -> None:
    assert script_of(process(1, "busybox", "sh", "-c", "x", exe="/bin/busybox")) == Script("code", "x", ())
    assert script_of(process(1, "sleep", "5", exe="/bin/busybox")) is None


@pytest.mark.parametrize(
    ("exe", "argv", "name"),
    [
        ("/usr/bin/python3.11", ("/usr/bin/python3", "/usr/bin/gunicorn", "a:b"), "Gunicorn"),
        ("/usr/bin/python3.11", ("gunicorn: master [a:b]",), "Gunicorn"),
        ("/usr/bin/python3.11", ("python3", "-m", "celery", "-A", "x", "worker"), "Celery worker"),
        ("/usr/bin/python3.11", ("python3", "-m", "celery", "-A", "x", "beat"), "Celery"),
        ("/usr/bin/python3.11", ("/usr/bin/python3", "/usr/bin/supervisord", "-n"), "supervisord"),
        ("/usr/bin/ruby3.1", ("puma 5.6.5 (tcp://0.0.0.0:9292) [r]",), "Puma"),
        ("/usr/bin/node", ("node", "/usr/bin/npm", "start"), "npm"),
        ("/usr/bin/node", ("npm start",), "npm"),
        ("/sbin/docker-init", ("/sbin/docker-init", "--", "x"), "tini"),
        ("/sbin/init", ("init [2]",), "sysvinit"),
        ("/bin/busybox", ("init",), "busybox init"),
    ],
)
def test_programs_are_recognised(exe: str, argv: tuple[str, ...], name: str) -> None:
    found = recognise(process(1, *argv, exe=exe))
    assert found is not None
    assert found.name == name


def test_similar_names_are_not_recognised() -> None:
    assert recognise(process(1, "python3", "/app/nginx_stats.py", exe="/usr/bin/python3.11")) is None
    assert recognise(process(1, "my-nginx", exe="/app/my-nginx")) is None
    assert recognise(process(1, "grep", "gunicorn: master", exe="/usr/bin/grep")) is None
