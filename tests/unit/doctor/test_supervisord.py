"""supervisord: its configuration, its programs and the total time that they take."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.records import Process
from containerlab_tui.doctor.programs import supervisord as supervisord_program
from containerlab_tui.model.diagnosis import Confidence, Outlook
from tests.unit.doctor.support import INT, NOW, TERM, codes, diagnosed, process

CONF = "/etc/supervisor/supervisord.conf"
STUBBORN = process(8, "server", "b", parent=1, ignored=(TERM,))
GOOD = process(7, "server", "a", parent=1)


def supervisord(*argv: str) -> Process:
    return process(1, "/usr/bin/python3", "/usr/bin/supervisord", *argv, exe="/usr/bin/python3.11",
                   caught=(1, INT, 3, 12, TERM, 17))  # fmt: skip


def configured(*sections: str) -> dict[tuple[int, str], str]:
    return {(1, CONF): "\n".join(("[supervisord]", "nodaemon=true", *sections))}


TWO = ("[program:a]", "command=server a", "[program:b]", "command=server b")


def test_programs_that_exit_take_no_time() -> None:
    assert diagnosed(supervisord(), GOOD, files=configured(*TWO[:2])).outlook is Outlook.EXITS


def test_supervisord_waits_for_a_program_that_keeps_running() -> None:
    found = diagnosed(supervisord(), GOOD, STUBBORN, files=configured(*TWO))
    assert found.outlook is Outlook.TIMES_OUT
    assert "supervisor-wait" in codes(found)
    assert diagnosed(supervisord(), GOOD, STUBBORN, files=configured(*TWO, "stopwaitsecs=3")).outlook is Outlook.EXITS
    assert diagnosed(supervisord(), GOOD, STUBBORN, files=configured(*TWO), timeout_s=30).outlook is Outlook.EXITS


def test_signals_with_other_uses() -> None:
    for signal in ("SIGHUP", "SIGUSR2"):
        assert diagnosed(supervisord(), GOOD, files=configured(*TWO[:2]), signal=signal).outlook is Outlook.TIMES_OUT


def test_variables_in_its_configuration_are_read_from_its_environment() -> None:
    files = configured(*TWO, "stopwaitsecs=%(ENV_STOP_WAIT)s")
    assert diagnosed(supervisord(), GOOD, STUBBORN, files=files).outlook is Outlook.TIMES_OUT
    variables = {1001: {"STOP_WAIT": "2"}}
    assert diagnosed(supervisord(), GOOD, STUBBORN, files=files, environments=variables).outlook is Outlook.EXITS
    wanted = supervisord_program.variables(files.values())
    assert wanted
    assert wanted.fullmatch("STOP_WAIT")
    assert not wanted.fullmatch("STOP_WAITS")
    assert supervisord_program.variables(["command=x"]) is None


def test_programs_not_yet_started_make_it_a_guess() -> None:
    young = replace(supervisord(), started_at=NOW - 1)
    assert diagnosed(young, files=configured(*TWO)).confidence is Confidence.GUESS
    assert diagnosed(supervisord(), files=configured(*TWO)).confidence is Confidence.LIKELY


def test_groups_wait_for_each_other_and_members_of_one_do_not() -> None:
    first = process(7, "server", "a", parent=1, ignored=(TERM,))
    waits = ("[program:a]", "command=server a", "stopwaitsecs=4", "[program:b]", "command=server b", "stopwaitsecs=4")
    assert diagnosed(supervisord(), first, STUBBORN, files=configured(*waits), timeout_s=7).outlook is Outlook.TIMES_OUT
    together = configured(*waits, "[group:g]", "programs=a,b")
    assert diagnosed(supervisord(), first, STUBBORN, files=together, timeout_s=7).outlook is Outlook.EXITS


def test_each_program_has_its_own_signal() -> None:
    killed = configured(*TWO, "stopsignal=KILL")
    assert diagnosed(supervisord(), GOOD, STUBBORN, files=killed).outlook is Outlook.EXITS


def test_without_its_configuration_the_result_is_unknown() -> None:
    assert diagnosed(supervisord(), GOOD).outlook is Outlook.UNKNOWN


def test_the_findings_about_its_programs() -> None:
    nginx = process(7, "nginx", parent=1, caught=(3, TERM))
    found = diagnosed(supervisord(), nginx, files=configured("[program:web]", "command=nginx -g 'daemon off;'"))
    assert "supervisor-stopsignal" in codes(found)
    fine = diagnosed(supervisord(), nginx, files=configured("[program:web]", "command=nginx", "stopsignal=QUIT"))
    assert "supervisor-stopsignal" not in codes(fine)


def test_supervisord_in_the_background_is_a_finding() -> None:
    shell = process(1, "sh", "-c", "supervisord; sleep 1000", exe="/usr/bin/dash")
    daemon = process(9, "/usr/bin/python3", "/usr/bin/supervisord", parent=1, exe="/usr/bin/python3.11", caught=(TERM,))
    background = {(9, CONF): "[supervisord]\nnodaemon=false\n"}
    assert "supervisor-nodaemon" in codes(diagnosed(shell, daemon, files=background))


def test_the_configuration_is_found_and_its_includes_resolved() -> None:
    assert supervisord_program.path_of(supervisord("-n", "-c", "/s.conf")) == "/s.conf"
    assert supervisord_program.path_of(supervisord("-nc/s.conf")) == "/s.conf"
    assert supervisord_program.path_of(supervisord("--configuration=/s.conf")) == "/s.conf"
    assert supervisord_program.path_of(supervisord("-n")) is None
    text = "[include]\nfiles = conf.d/*.conf %(here)s/more.ini /srv/x.conf"
    assert supervisord_program.includes_of(text, "/etc/s/s.conf") == (
        "/etc/s/conf.d/*.conf", "/etc/s/more.ini", "/srv/x.conf",
    )  # fmt: skip


def test_processes_of_one_program_share_its_settings() -> None:
    found = supervisord_program.parse(
        "[program:a]\ncommand=server\nnumprocs=2\nstopwaitsecs=2\n[program:b]\ncommand=other"
    )
    children = tuple(process(number, "server", parent=1) for number in (7, 8))
    assert [one.name for _, one in supervisord_program.assign(found.managed, children)] == ["a", "a"]


@given(st.text(max_size=300))
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    supervisord_program.parse(text)
    supervisord_program.includes_of(text, "/etc/s.conf")
