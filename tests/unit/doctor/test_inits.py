"""Inits and wrappers: which signals they forward to which process, and the result."""

import pytest

from containerlab_tui.model.diagnosis import Confidence, Outlook
from tests.unit.doctor.support import INT, TERM, codes, diagnosed, process

EXITS, STAYS = Outlook.EXITS, Outlook.TIMES_OUT
TRAP = "trap 'exit 0' TERM; sleep 1000; true"


def behind(*argv: str, group_child: bool = True) -> tuple[Outlook, Confidence]:
    """An init, behind it bash with a trap and a child in the foreground."""
    init = process(1, *argv, "--", "bash", "-c", TRAP, exe=f"/usr/bin/{argv[0]}", sigwait=(TERM,))
    bash = process(7, "bash", "-c", TRAP, parent=1, caught=(TERM,), foreground=(8,))
    found = diagnosed(init, bash, process(8, "sleep", "1000", parent=7))
    return found.outlook, found.confidence


@pytest.mark.parametrize(
    ("argv", "outlook"),
    [
        (("tini",), STAYS),
        (("tini", "-g"), EXITS),
        (("tini", "-vg"), EXITS),
        (("docker-init",), STAYS),
        (("dumb-init",), EXITS),
        (("dumb-init", "-c"), STAYS),
        (("dumb-init", "--single-child"), STAYS),
        (("catatonit",), STAYS),
    ],
)
def test_forwarded_signals(argv: tuple[str, ...], outlook: Outlook) -> None:
    assert behind(*argv)[0] is outlook


def test_an_init_terminates_a_child_without_a_handler() -> None:
    init = process(1, "tini", "server", sigwait=(TERM,))
    found = diagnosed(init, process(7, "server", parent=1))
    assert (found.outlook, found.confidence) == (EXITS, Confidence.CERTAIN)
    assert "init-forwards" in codes(found)


def test_dumb_init_rewrites_signals() -> None:
    def rewritten(rule: str) -> Outlook:
        init = process(1, "dumb-init", "--rewrite", rule, "nginx", sigwait=(TERM,))
        nginx = process(7, "nginx", parent=1, caught=(1, 2, 3, TERM))
        return diagnosed(init, nginx).outlook

    assert rewritten("15:3") is EXITS
    assert rewritten("15:1") is STAYS
    assert rewritten("15:0") is STAYS
    assert rewritten("2:1") is EXITS


def test_the_environment_makes_tini_signal_the_group() -> None:
    init = process(1, "tini", "--", "bash", "-c", TRAP, sigwait=(TERM,))
    bash = process(7, "bash", "-c", TRAP, parent=1, caught=(TERM,), foreground=(8,))
    sleep = process(8, "sleep", "1000", parent=7)
    assert diagnosed(init, bash, sleep).outlook is STAYS
    assert diagnosed(init, bash, sleep, environments={1001: {"TINI_KILL_PROCESS_GROUP": "1"}}).outlook is EXITS


def test_su_kills_its_child_after_two_seconds() -> None:
    su = process(1, "su", "nobody", "-c", "server", caught=(TERM,))
    stubborn = process(7, "server", parent=1, ignored=(TERM,))
    assert diagnosed(su, stubborn).outlook is EXITS
    assert diagnosed(su, stubborn, timeout_s=2).outlook is not EXITS
    assert diagnosed(su, process(7, "server", parent=1), timeout_s=1).outlook is STAYS


def test_timeout_forwards_and_may_kill() -> None:
    stubborn = process(7, "server", parent=1, ignored=(TERM,))
    assert diagnosed(process(1, "timeout", "1000", "server", caught=(TERM,)), stubborn).outlook is STAYS
    assert diagnosed(process(1, "timeout", "-k", "1", "1000", "server", caught=(TERM,)), stubborn).outlook is EXITS
    assert diagnosed(process(1, "timeout", "-k", "1m", "1000", "server", caught=(TERM,)), stubborn).outlook is STAYS


def test_s6_waits_for_its_services() -> None:
    svscan = process(1, "s6-svscan", "/run/service", sigwait=(TERM,))
    supervise = process(7, "s6-supervise", "a", parent=1, caught=(TERM,))
    assert diagnosed(svscan, supervise, process(8, "server", parent=7)).outlook is EXITS
    assert diagnosed(svscan, supervise, process(8, "server", parent=7, ignored=(TERM,))).outlook is STAYS


def test_uwsgi_exits_on_sigterm_only_with_die_on_term() -> None:
    def uwsgi(*options: str, ini: str = "") -> Outlook:
        one = process(1, "uwsgi", *options, exe="/usr/bin/uwsgi", caught=(1, INT, 3, TERM))
        return diagnosed(one, files={(1, "/etc/u.ini"): ini} if ini else {}).outlook

    assert uwsgi("--master", "--http", ":80") is STAYS
    assert uwsgi("--master", "--http", ":80", "--die-on-term") is EXITS
    assert uwsgi("--http", ":80") is EXITS
    assert uwsgi("--ini", "/etc/u.ini", ini="[uwsgi]\nmaster = true\n") is STAYS
    assert uwsgi("--ini", "/etc/u.ini", ini="[uwsgi]\nmaster = true\ndie-on-term = true\n") is EXITS
    assert uwsgi("--ini", "/etc/u.ini", ini="[uwsgi]\nhttp = :80\n") is EXITS
    assert uwsgi("--ini", "/etc/u.ini", "--master", ini="[uwsgi]\nhttp = :80\n") is STAYS
    assert uwsgi("--ini", "/etc/u.ini", ini="[uwsgi]\ndie-on-term = false\nmaster = true\n") is STAYS


def test_redis_keeps_running_if_it_cannot_save() -> None:
    redis = process(1, "redis-server", "*:6379", caught=(INT, TERM))
    assert diagnosed(redis).outlook is EXITS
    assert diagnosed(redis, cannot_write=frozenset((1001,))).outlook is STAYS
    for argv, outlook in ((("redis-server", "--save", ""), EXITS), (("redis-server", "--save", "60", "1"), STAYS)):
        asked = diagnosed(redis, cannot_write=frozenset((1001,)), details={"argv": argv})
        assert asked.outlook is outlook, argv


ALL = (1, INT, 3, TERM)


@pytest.mark.parametrize(
    ("words", "environment", "signal", "outlook"),
    [
        ((), {}, "SIGTERM", EXITS),
        ((), {"UWSGI_MASTER": "1"}, "SIGTERM", STAYS),
        ((), {"UWSGI_MASTER": "1"}, "SIGQUIT", EXITS),
        ((), {"UWSGI_MASTER": "1", "UWSGI_DIE_ON_TERM": "1"}, "SIGTERM", EXITS),
        ((), {"UWSGI_MASTER": "0"}, "SIGTERM", EXITS),
        (("--master",), {"UWSGI_DIE_ON_TERM": "true"}, "SIGTERM", EXITS),
        (("-Mp2",), {}, "SIGTERM", STAYS),
        (("--emperor", "/vassals"), {}, "SIGTERM", EXITS),
        (("--emperor", "/vassals", "--master"), {}, "SIGTERM", STAYS),
    ],
)
def test_uwsgi_follows_its_options_and_environment(
    words: tuple[str, ...], environment: dict[str, str], signal: str, outlook: Outlook
) -> None:
    one = process(1, "uwsgi", "--socket", ":3031", *words, caught=ALL)
    assert diagnosed(one, environments={1001: environment}, signal=signal).outlook is outlook


def test_uwsgi_with_an_exit_hook() -> None:
    one = process(1, "uwsgi", "--ini", "/u.ini", caught=ALL)
    text = "[uwsgi]\nmaster = true\nhook-master-start = unix_signal:15 gracefully_kill_them_all\n"
    assert diagnosed(one, files={(1, "/u.ini"): text}).outlook is EXITS


def test_busybox_init_and_sysvinit_are_distinguished() -> None:
    usr1 = (*range(1, 9), 10, 12, TERM)
    sysv = process(1, "init [", exe="/usr/sbin/init", caught=usr1)
    assert diagnosed(sysv, signal="SIGUSR1").outlook is STAYS
    busybox = process(1, "/sbin/init", exe="/bin/busybox", caught=usr1)
    assert diagnosed(busybox, signal="SIGUSR1").outlook is EXITS


def test_a_supervisor_of_one_service_exits_with_it() -> None:
    good = process(7, "sleep", "1000", parent=1)
    stubborn = process(7, "server", parent=1, ignored=(TERM,))
    for name in ("runsv", "s6-supervise"):
        one = process(1, name, "/service/a", caught=(TERM,))
        assert diagnosed(one, good).outlook is EXITS
        assert diagnosed(one, stubborn).outlook is STAYS


def test_files_of_a_service_directory() -> None:
    def of(name: str, files: dict[str, str], **more: object) -> Outlook:
        one = process(1, name, "/service/a", caught=(TERM,))
        read = {(1, path): text for path, text in files.items()}
        return diagnosed(one, process(7, "server", parent=1, ignored=(TERM,)), files=read, **more).outlook

    assert of("s6-supervise", {}) is STAYS
    assert of("s6-supervise", {"down-signal": "SIGUSR1\n"}) is EXITS
    assert of("s6-supervise", {"down-signal": "nonsense"}) is STAYS
    assert of("s6-supervise", {"timeout-kill": "2000\n"}) is EXITS
    assert of("s6-supervise", {"timeout-kill": "20000\n"}) is STAYS
    assert of("s6-supervise", {"timeout-kill": "0"}) is STAYS
    assert of("runsv", {"control/t": "#!/bin/sh\n"}) is Outlook.UNKNOWN


def test_a_finish_script_adds_its_time() -> None:
    svscan = process(1, "s6-svscan", "/run/service", sigwait=(TERM,))
    tree = (svscan, process(7, "s6-supervise", "a", parent=1, caught=(TERM,)), process(8, "server", parent=7))
    quick, slow = {(7, "finish"): "#!/bin/sh\necho bye\n"}, {(7, "finish"): "#!/bin/sh\nsleep 20\n"}
    assert diagnosed(*tree).confidence is Confidence.LIKELY
    assert (diagnosed(*tree, files=quick).outlook, diagnosed(*tree, files=quick).confidence) == (
        EXITS,
        Confidence.GUESS,
    )
    assert diagnosed(*tree, files=slow, timeout_s=3).outlook is STAYS
    assert diagnosed(*tree, files=slow).outlook is EXITS  # it is killed after 5 s


def test_a_supervisor_without_a_running_service_exits() -> None:
    assert diagnosed(process(1, "s6-supervise", "/service/a", caught=(TERM,))).outlook is EXITS


def test_runit_shuts_down_only_with_stopit() -> None:
    one = process(1, "runit", exe="/usr/sbin/runit", caught=(18,))
    assert diagnosed(one, signal="SIGCONT").outlook is STAYS
    assert diagnosed(one, signal="SIGCONT", files={(1, "/etc/runit/stopit"): ""}).outlook is Outlook.UNKNOWN
