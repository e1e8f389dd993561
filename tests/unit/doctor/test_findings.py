"""Each finding for a container that has it, and for a similar one that does not."""

import re
from dataclasses import replace

from containerlab_tui.doctor.facts import EarlySignal
from containerlab_tui.model.diagnosis import Diagnosis, Graceful, Severity
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.product import PODMAN
from tests.unit.doctor.support import HUP, INT, NOW, TERM, codes, diagnosed, process

SERVER = process(1, "server", exe="/app/server")
NGINX = process(1, "nginx", "-g", "daemon off;", exe="/usr/sbin/nginx", caught=(1, INT, 3, 10, 12, TERM, 17, 28))


def remedy(diagnosis: Diagnosis, code: str) -> str:
    return next(one.remedy for one in diagnosis.findings if one.code == code)


def severity(diagnosis: Diagnosis, code: str) -> Severity:
    return next(one.severity for one in diagnosis.findings if one.code == code)


def test_signal_dropped() -> None:
    found = diagnosed(SERVER)
    assert severity(found, "signal-dropped") is Severity.ERROR
    assert "--init" in remedy(found, "signal-dropped")
    assert "signal-dropped" not in codes(diagnosed(process(1, "server", exe="/app/server", caught=(TERM,))))
    assert "signal-dropped" not in codes(diagnosed(process(1, "server", exe="/app/server", init=False)))


def test_signal_ignored_and_blocked() -> None:
    assert severity(diagnosed(process(1, "server", ignored=(TERM,))), "signal-ignored") is Severity.ERROR
    assert severity(diagnosed(process(1, "server", blocked=(TERM,))), "signal-blocked") is Severity.ERROR
    assert "signal-blocked" not in codes(diagnosed(process(1, "server", blocked=(TERM,), sigwait=(TERM,))))
    assert "signal-ignored" not in codes(diagnosed(process(1, "server", ignored=(INT,), caught=(TERM,))))


def test_other_graceful_signal() -> None:
    found = diagnosed(NGINX)
    assert severity(found, "other-graceful-signal") is Severity.WARNING
    assert "STOPSIGNAL SIGQUIT" in remedy(found, "other-graceful-signal")
    assert "other-graceful-signal" not in codes(diagnosed(NGINX, signal="SIGQUIT"))
    behind_shell = diagnosed(process(1, "sh", "-c", "nginx; x", exe="/usr/bin/dash"), replace(NGINX, parent_pid=1001,
                        id=process(7, "x").id, container_pid=7, namespace_init=False))  # fmt: skip
    assert "other-graceful-signal" not in codes(behind_shell)


def test_the_fix_contains_the_command_not_the_title() -> None:
    shell = process(1, "sh", "-c", "mkdir -p /x; /usr/sbin/nginx -g 'daemon off;' > /log; true", exe="/usr/bin/dash")
    titled = process(7, "nginx: master process nginx -g daemon off;", parent=1, exe="/usr/sbin/nginx", caught=(TERM,))
    found = remedy(diagnosed(shell, titled), "shell-in-front")
    assert 'CMD ["/usr/sbin/nginx", "-g", "daemon off;"]' in found
    assert "exec /usr/sbin/nginx -g 'daemon off;'" in found
    unread = process(1, "sh", "/entry.sh", exe="/usr/bin/dash")
    assert 'CMD ["/usr/sbin/nginx"]' in remedy(diagnosed(unread, titled), "shell-in-front")


def test_reloads_instead() -> None:
    uwsgi = process(1, "uwsgi", "--master", "--http", ":80", exe="/usr/bin/uwsgi", caught=(1, INT, 3, TERM))
    found = diagnosed(uwsgi)
    assert severity(found, "reloads-instead") is Severity.ERROR
    assert "die-on-term" in remedy(found, "reloads-instead")
    assert "reloads-instead" not in codes(diagnosed(uwsgi, signal="SIGINT"))


def test_raises_again() -> None:
    node = process(1, "node", "-e", "setInterval(() => {}, 1000)", caught=(INT, TERM))
    assert severity(diagnosed(node), "raises-again") is Severity.ERROR
    listens = process(1, "node", "-e", "process.on('SIGTERM', () => process.exit())", caught=(INT, TERM))
    assert "raises-again" not in codes(diagnosed(listens))


def test_does_not_end() -> None:
    stays = process(
        1, "python3", "-c", "import signal\nsignal.signal(15, lambda *a: print())\nwhile 1: x()", caught=(TERM,)
    )
    assert severity(diagnosed(stays), "does-not-end") is Severity.ERROR
    assert "does-not-end" not in codes(diagnosed(SERVER))


def test_handler_unknown() -> None:
    found = diagnosed(process(1, "server", exe="/app/server", caught=(TERM,)))
    assert severity(found, "handler-unknown") is Severity.NOTE
    assert "handler-unknown" not in codes(diagnosed(NGINX))


def test_children_killed() -> None:
    python = process(1, "python3", "-c", "import signal,sys\nsignal.signal(15, lambda *a: sys.exit())", caught=(TERM,))
    worker = process(7, "worker", parent=1)
    assert severity(diagnosed(python, worker), "children-killed") is Severity.WARNING
    executed = process(8, "sh", parent=0)
    assert severity(diagnosed(python, executed), "children-killed") is Severity.NOTE
    assert "children-killed" not in codes(diagnosed(python))
    assert "children-killed" not in codes(diagnosed(NGINX, process(7, "nginx", parent=1, caught=(TERM,))))


def test_zombies() -> None:
    zombie = process(9, "gone", parent=1, state="Z")
    found = diagnosed(NGINX, zombie)
    assert severity(found, "zombies") is Severity.WARNING
    assert "--init" in remedy(found, "zombies")
    assert "zombies" not in codes(diagnosed(NGINX))


def test_the_grace_period() -> None:
    assert "grace-zero" in codes(diagnosed(NGINX, timeout_s=0))
    assert "grace-zero" not in codes(diagnosed(NGINX))
    assert severity(diagnosed(SERVER, timeout_s=-1), "grace-endless") is Severity.ERROR
    assert "grace-endless" not in codes(diagnosed(NGINX, timeout_s=-1))
    squid = process(1, "squid", "-N", exe="/usr/sbin/squid", caught=(TERM,))
    found = diagnosed(squid)
    assert severity(found, "grace-too-short") is Severity.ERROR
    seconds = re.search(r"--stop-timeout=(\d+)", remedy(found, "grace-too-short"))
    assert seconds is not None
    assert "grace-too-short" not in codes(diagnosed(squid, timeout_s=int(seconds[1])))


def test_earlier_stops() -> None:
    past = PastStop(0.0, "c", "box", "image", "server", "SIGTERM", 10.0, "killed", 137, 10.1, 10.0, 0.1)
    assert "killed-before" in codes(diagnosed(SERVER, history=(past, past, past)))
    assert "killed-before" not in codes(diagnosed(SERVER, history=(replace(past, verdict="graceful"),) * 3))


def test_inits() -> None:
    tini = process(1, "tini", "server", sigwait=(TERM,))
    assert severity(diagnosed(tini, process(7, "server", parent=1)), "init-forwards") is Severity.NOTE
    shell = process(1, "sh", "-c", "tini server; x", exe="/usr/bin/dash")
    second = process(7, "tini", "server", parent=1, sigwait=(TERM,))
    assert "init-not-first" in codes(diagnosed(shell, second, process(8, "server", parent=7)))
    reaping = process(7, "tini", "-s", "server", parent=1, sigwait=(TERM,))
    assert "init-not-first" not in codes(diagnosed(shell, reaping, process(8, "server", parent=7)))


def test_dropped_at_start() -> None:
    early = (EarlySignal(NOW - 999.9, TERM),)
    found = diagnosed(NGINX, early_signals=early)
    assert severity(found, "dropped-at-start") is Severity.NOTE
    (finding,) = (one for one in found.findings if one.code == "dropped-at-start")
    assert finding.evidence == ("engine: sent SIGTERM 0.1 s after the start", "/proc: PID 1 (nginx) is still running")
    assert "dropped-at-start" not in codes(diagnosed(NGINX))
    assert "dropped-at-start" not in codes(
        diagnosed(NGINX, early_signals=(EarlySignal(NOW - 0.2, TERM),))
    )  # on its way out
    assert "dropped-at-start" not in codes(diagnosed(NGINX, early_signals=(EarlySignal(NOW - 999.9, HUP),)))  # a reload
    assert "dropped-at-start" not in codes(diagnosed(SERVER, early_signals=early))  # it would be dropped now as well


def test_a_disarmed_restart_policy() -> None:
    found = diagnosed(NGINX, restart_disarmed=True, details={"restart_policy": "always"})
    assert "docker restart box" in remedy(found, "restart-disarmed")
    marked = {"restart_policy": "always", "restart_disarmed": True}
    on_podman = diagnosed(NGINX, restart_disarmed=True, details=marked, product=PODMAN)
    assert "podman restart box" in remedy(on_podman, "restart-disarmed")
    assert "restart-disarmed" not in codes(diagnosed(NGINX, restart_disarmed=True))
    assert "restart-disarmed" not in codes(
        diagnosed(NGINX, restart_disarmed=False, details={"restart_policy": "always"})
    )


def test_sigkill_as_the_stop_signal() -> None:
    assert "stop-signal-kill" in codes(diagnosed(NGINX, signal="SIGKILL"))
    assert "stop-signal-kill" not in codes(diagnosed(NGINX))


def test_without_a_grace_period_podman_sends_only_sigkill() -> None:
    found = diagnosed(NGINX, timeout_s=0, product=PODMAN)
    killed = diagnosed(NGINX, signal="SIGKILL")
    assert (found.outlook, found.graceful, found.confidence) == (killed.outlook, killed.graceful, killed.confidence)
    (summary,) = (one.summary for one in found.findings if one.code == "grace-zero")
    assert summary == "The grace period is 0 s: Podman sends only SIGKILL."
    chosen = diagnosed(NGINX, timeout_s=0, product=PODMAN, details={"stop_signal_source": "request"})
    (summary,) = (one.summary for one in chosen.findings if one.code == "grace-zero")
    assert summary == "The grace period is 0 s: SIGKILL follows the stop signal at once."


def test_a_stop_that_times_out_has_an_error_finding() -> None:
    for diagnosis in (
        diagnosed(SERVER),
        diagnosed(NGINX, signal="SIGHUP"),
        diagnosed(process(1, "server", ignored=(TERM,))),
    ):
        assert Severity.ERROR in {one.severity for one in diagnosis.findings}


def test_the_worst_comes_first() -> None:
    found = diagnosed(SERVER, process(9, "gone", parent=1, state="Z"), timeout_s=-1)
    assert [one.severity for one in found.findings] == sorted(
        (one.severity for one in found.findings), key=list(Severity).index
    )


def test_a_second_graceful_signal_is_not_a_finding() -> None:
    unbound = process(1, "unbound", "-d", exe="/usr/sbin/unbound", caught=(1, INT, 3, TERM))
    found = diagnosed(unbound, signal="SIGINT")
    assert (found.graceful, found.graceful_signal) == (Graceful.YES, "SIGINT")
    assert "other-graceful-signal" not in codes(found)
    behind = process(1, "dumb-init", "--rewrite", "15:3", "nginx", sigwait=(TERM,))
    nginx = process(7, "nginx:", "master process", exe="/usr/sbin/nginx", parent=1, caught=(3, TERM))
    found = diagnosed(behind, nginx)
    assert (found.graceful, found.graceful_signal) == (Graceful.YES, "SIGTERM")
    assert "other-graceful-signal" not in codes(found)
    assert "other-graceful-signal" in codes(diagnosed(NGINX))
    assert diagnosed(NGINX).graceful_signal == "SIGQUIT"


def test_an_unknown_prediction_names_its_cause() -> None:
    busy = next(one for one in diagnosed(NGINX, signal="SIGQUIT", clients=3).findings if one.code == "handler-unknown")
    assert "3 clients are connected" in busy.summary
    other = next(
        one
        for one in diagnosed(process(1, "server", exe="/app/server", caught=(TERM,))).findings
        if one.code == busy.code
    )
    assert "stopped once" in other.summary
    assert "handler-unknown" not in codes(diagnosed(NGINX, timeout_s=0))


def test_another_signal_is_offered_only_if_the_program_exits_on_it() -> None:
    ignoring = replace(
        NGINX, dispositions=replace(NGINX.dispositions, ignored=frozenset((TERM,)), caught=frozenset((3,)))
    )
    assert "STOPSIGNAL SIGQUIT" in remedy(diagnosed(ignoring), "signal-ignored")
    nothing_else = remedy(diagnosed(process(1, "server", ignored=(TERM,))), "signal-ignored")
    assert nothing_else == "# Make the SIGTERM handler exit the program."
