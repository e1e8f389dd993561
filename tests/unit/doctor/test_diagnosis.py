"""Predictions by the kernel's rules, by programs.toml and by earlier stops; the JSON document."""

import json
from dataclasses import replace

import pytest

from containerlab_probes.records import Delivery, Dispositions
from containerlab_tui.doctor import diagnosis as doctor
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Graceful, Outlook
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.present import doctor_documents
from tests.unit.doctor.support import HUP, INT, TERM, diagnosed, facts, process

NGINX = process(1, "nginx:", "master process nginx", exe="/usr/sbin/nginx", caught=(1, 2, 3, 10, 12, 15, 17, 28))
APACHE = process(1, "apache2", "-DFOREGROUND", exe="/usr/sbin/apache2", caught=(1, 2, 10, 15, 28))


def verdict(diagnosis: Diagnosis) -> tuple[Outlook, Confidence]:
    return diagnosis.outlook, diagnosis.confidence


def test_pid_1_without_a_handler_is_certain_to_time_out() -> None:
    found = diagnosed(process(1, "server", exe="/app/server"))
    assert verdict(found) == (Outlook.TIMES_OUT, Confidence.CERTAIN)
    assert found.delivery is Delivery.DROPPED
    assert found.graceful is Graceful.NO


def test_the_default_action_terminates_a_process_that_is_not_init() -> None:
    found = diagnosed(process(1, "server", exe="/app/server", init=False))
    assert verdict(found) == (Outlook.EXITS, Confidence.CERTAIN)
    assert found.delivery is Delivery.DEFAULT


MAIN_THREAD_BLOCKS = replace(
    process(1, "server", exe="/app/server", threads=2), dispositions=Dispositions(leader_blocked=frozenset({TERM}))
)


@pytest.mark.parametrize(
    ("spared", "delivery", "outlook", "confidence"),
    [
        (True, Delivery.DROPPED, Outlook.TIMES_OUT, Confidence.CERTAIN),
        (False, Delivery.DEFAULT, Outlook.EXITS, Confidence.CERTAIN),
        (None, Delivery.UNKNOWN, Outlook.UNKNOWN, Confidence.GUESS),
    ],
)
def test_where_kernels_differ_the_answer_of_this_kernel_decides(
    spared: bool | None, delivery: Delivery, outlook: Outlook, confidence: Confidence
) -> None:
    found = diagnosed(replace(MAIN_THREAD_BLOCKS, spared_by_kernel=spared))
    assert (found.delivery, *verdict(found)) == (delivery, outlook, confidence)
    assert "its main thread blocks the signal and another thread does not" in found.evidence[0]


def test_a_young_process_may_still_be_starting() -> None:
    assert diagnosed(process(1, "server", exe="/app/server", age_s=0.5)).confidence is Confidence.LIKELY
    assert diagnosed(process(1, "sleep", "1000", age_s=0.5)).confidence is Confidence.CERTAIN


def test_a_program_that_always_handles_the_signal_may_still_be_starting_when_it_does_not() -> None:
    assert verdict(diagnosed(process(1, "nginx", exe="/usr/sbin/nginx"))) == (Outlook.TIMES_OUT, Confidence.LIKELY)


def test_ignored_is_certain_and_blocked_is_likely() -> None:
    ignored = diagnosed(process(1, "server", exe="/app/server", ignored=(TERM,)))
    assert (ignored.delivery, *verdict(ignored)) == (Delivery.IGNORED, Outlook.TIMES_OUT, Confidence.CERTAIN)
    blocked = diagnosed(process(1, "server", exe="/app/server", blocked=(TERM,)))
    assert (blocked.delivery, *verdict(blocked)) == (Delivery.PENDING, Outlook.TIMES_OUT, Confidence.LIKELY)


def test_a_blocked_signal_with_a_handler_may_be_unblocked() -> None:
    assert (
        diagnosed(process(1, "server", exe="/app/server", blocked=(TERM,), caught=(TERM,))).outlook is Outlook.UNKNOWN
    )
    mosquitto = process(1, "mosquitto", exe="/usr/sbin/mosquitto", blocked=(TERM,), caught=(TERM,))
    assert verdict(diagnosed(mosquitto)) == (Outlook.EXITS, Confidence.LIKELY)


def test_a_handler_alone_proves_nothing() -> None:
    found = diagnosed(process(1, "server", exe="/app/server", caught=(TERM,)))
    assert verdict(found) == (Outlook.UNKNOWN, Confidence.GUESS)


def test_a_program_in_sigwait_is_guessed_to_exit() -> None:
    found = diagnosed(process(1, "server", exe="/app/server", blocked=(TERM,), sigwait=(TERM,)))
    assert verdict(found) == (Outlook.EXITS, Confidence.GUESS)


def test_a_packaged_daemon_with_a_handler_is_a_guess_and_its_unit_makes_it_likely() -> None:
    daemon = process(1, "food", exe="/usr/sbin/food", caught=(TERM, HUP))
    assert verdict(diagnosed(daemon)) == (Outlook.EXITS, Confidence.GUESS)
    assert verdict(diagnosed(daemon, signal="SIGHUP")) == (Outlook.TIMES_OUT, Confidence.GUESS)
    at_terminal = diagnosed(daemon, signal="SIGHUP", details={"tty": True})
    assert verdict(at_terminal) == (Outlook.EXITS, Confidence.GUESS)
    units = {"/usr/sbin/food": "[Service]\nExecStart=/usr/sbin/food -n\n"}
    assert verdict(diagnosed(daemon, units=units)) == (Outlook.EXITS, Confidence.LIKELY)


def test_known_programs_follow_programs_toml() -> None:
    assert verdict(diagnosed(NGINX)) == (Outlook.EXITS, Confidence.CERTAIN)
    assert diagnosed(NGINX).graceful is Graceful.NO
    assert diagnosed(NGINX).graceful_signal == "SIGQUIT"
    assert diagnosed(NGINX, signal="SIGQUIT").graceful is Graceful.YES
    assert diagnosed(NGINX, signal="SIGHUP").outlook is Outlook.TIMES_OUT


def test_connected_clients_make_a_drain_unknown() -> None:
    assert diagnosed(NGINX, signal="SIGQUIT", clients=0).outlook is Outlook.EXITS
    assert diagnosed(NGINX, signal="SIGQUIT", clients=3).outlook is Outlook.UNKNOWN


def test_the_effect_of_clients_depends_on_the_program() -> None:
    assert verdict(diagnosed(APACHE, clients=0)) == (Outlook.EXITS, Confidence.CERTAIN)
    assert diagnosed(APACHE, clients=2).outlook is Outlook.UNKNOWN  # its children have up to 9 s
    assert verdict(diagnosed(APACHE, clients=2, timeout_s=20)) == (Outlook.EXITS, Confidence.LIKELY)
    assert verdict(diagnosed(NGINX, clients=2)) == (Outlook.EXITS, Confidence.LIKELY)
    postgres = process(1, "postgres", exe="/usr/lib/postgresql/15/bin/postgres", caught=(TERM, INT, 3))
    assert verdict(diagnosed(postgres, clients=1)) == (Outlook.TIMES_OUT, Confidence.LIKELY)
    assert diagnosed(postgres, clients=1, signal="SIGINT").outlook is Outlook.EXITS
    gunicorn = ("/usr/bin/python3", "/usr/bin/gunicorn", "web:app")
    busy = process(1, *gunicorn, exe="/usr/bin/python3.11", caught=(TERM,))
    assert diagnosed(busy, clients=1).outlook is Outlook.UNKNOWN
    hasty = process(1, *gunicorn, "--graceful-timeout", "2", exe="/usr/bin/python3.11", caught=(TERM,))
    assert diagnosed(hasty, clients=1).outlook is Outlook.EXITS


def test_the_wait_for_clients_can_be_configured() -> None:
    config = {(1, "/etc/nginx/nginx.conf"): "worker_processes 1;\nworker_shutdown_timeout 3s;\n"}
    assert diagnosed(NGINX, signal="SIGQUIT", clients=1, files=config).outlook is Outlook.EXITS
    assert diagnosed(NGINX, signal="SIGQUIT", clients=1, files=config, timeout_s=2).outlook is Outlook.UNKNOWN
    haproxy = process(1, "haproxy", "-W", "-f", "/h.cfg", exe="/usr/sbin/haproxy", caught=(10, TERM))
    assert diagnosed(haproxy, signal="SIGUSR1", clients=1).outlook is Outlook.TIMES_OUT
    for line in ("hard-stop-after 2s", "hard-stop-after 2000"):
        files = {(1, "/h.cfg"): f"global\n  {line}\n"}
        assert diagnosed(haproxy, signal="SIGUSR1", clients=1, files=files).outlook is Outlook.EXITS, line


def test_clients_of_an_unknown_program() -> None:
    daemon = process(1, "food", exe="/usr/sbin/food", caught=(TERM,))
    units = {"/usr/sbin/food": "[Service]\nExecStart=/usr/sbin/food\n"}
    assert verdict(diagnosed(daemon, units=units, clients=1)) == (Outlook.EXITS, Confidence.GUESS)
    code = "s.listen(80); process.on('SIGTERM', () => s.close(() => process.exit(0)))"
    node = process(1, "node", "-e", code, caught=(TERM,))
    assert diagnosed(node).outlook is Outlook.EXITS
    assert diagnosed(node, clients=1).outlook is Outlook.UNKNOWN


def test_a_child_of_another_program_lowers_the_confidence() -> None:
    own, foreign = process(7, "nginx: worker", exe="/usr/sbin/nginx", parent=1), process(8, "ncat", parent=1)
    assert verdict(diagnosed(NGINX, own)) == (Outlook.EXITS, Confidence.CERTAIN)
    assert verdict(diagnosed(NGINX, own, foreign)) == (Outlook.EXITS, Confidence.LIKELY)


def test_a_command_that_exits_on_its_own_in_time() -> None:
    assert diagnosed(process(1, "sleep", "20", age_s=15)).outlook is Outlook.EXITS
    assert diagnosed(process(1, "sleep", "1h", age_s=15)).outlook is Outlook.TIMES_OUT
    assert diagnosed(process(1, "sleep", "infinity", age_s=15)).outlook is Outlook.TIMES_OUT
    assert diagnosed(process(1, "sleep", "20", exe="/bin/busybox", age_s=15)).outlook is Outlook.EXITS


def test_the_grace_period_decides_about_a_slow_exit() -> None:
    squid = process(1, "squid", "-N", exe="/usr/sbin/squid", caught=(TERM, INT, HUP))
    assert diagnosed(squid).outlook is Outlook.TIMES_OUT
    assert diagnosed(squid, timeout_s=60).outlook is Outlook.EXITS
    short = {(1, "/etc/squid/squid.conf"): "shutdown_lifetime 3 seconds\n"}
    assert diagnosed(squid, files=short).outlook is Outlook.EXITS
    assert verdict(diagnosed(NGINX, timeout_s=0)) == (Outlook.EXITS, Confidence.GUESS)
    assert diagnosed(squid, files=short, timeout_s=0).outlook is Outlook.TIMES_OUT
    plain = process(1, "server", exe="/app/server", init=False)
    assert verdict(diagnosed(plain, timeout_s=0)) == (Outlook.EXITS, Confidence.LIKELY)
    redis = process(1, "redis-server *:6379", exe="/usr/bin/redis-server", caught=(TERM,))
    assert diagnosed(redis, timeout_s=1).outlook is Outlook.EXITS
    tinyproxy = process(1, "tinyproxy", "-d", caught=(TERM,))
    assert diagnosed(tinyproxy, timeout_s=1).outlook is Outlook.UNKNOWN  # 1.5 s at most, often less
    assert diagnosed(NGINX, timeout_s=-1).outlook is Outlook.EXITS


def test_sigkill_kills_at_once() -> None:
    found = diagnosed(process(1, "server", exe="/app/server"), signal="SIGKILL", timeout_s=0)
    assert verdict(found) == (Outlook.EXITS, Confidence.CERTAIN)


GO_MASK = tuple(number for number in range(1, 65) if number not in (9, 19, 32, 33))


def test_go_programs_exit_unless_they_request_the_signal() -> None:
    program = process(1, "/app/server", exe="/app/server", caught=GO_MASK)
    assert diagnosed(program).outlook is Outlook.UNKNOWN
    go = frozenset(("/app/server",))
    assert verdict(diagnosed(program, go_programs=go)) == (Outlook.EXITS, Confidence.LIKELY)
    assert verdict(diagnosed(program, go_programs=go, signal="SIGHUP")) == (Outlook.EXITS, Confidence.GUESS)
    assert verdict(diagnosed(program, go_programs=go, signal="SIGUSR1")) == (Outlook.TIMES_OUT, Confidence.GUESS)
    assert verdict(diagnosed(program, go_programs=go, signal="SIGABRT")) == (Outlook.EXITS, Confidence.LIKELY)


def test_a_unit_decides_about_sighup() -> None:
    unit, reload = "[Service]\nExecStart=/usr/bin/food\n", "ExecReload=/bin/kill -HUP $MAINPID\n"
    program = process(1, "food", exe="/usr/bin/food", caught=GO_MASK)
    go = frozenset(("/usr/bin/food",))
    bare, reloads = {"/usr/bin/food": unit}, {"/usr/bin/food": unit + reload}
    assert verdict(diagnosed(program, go_programs=go, units=bare, signal="SIGHUP")) == (Outlook.EXITS, Confidence.GUESS)
    assert verdict(diagnosed(program, go_programs=go, units=reloads, signal="SIGHUP")) == (
        Outlook.TIMES_OUT, Confidence.LIKELY)  # fmt: skip
    daemon = process(1, "food", exe="/usr/bin/food", caught=(TERM, HUP))
    assert diagnosed(daemon, units=bare, signal="SIGHUP").outlook is Outlook.UNKNOWN
    assert verdict(diagnosed(daemon, units=reloads, signal="SIGHUP")) == (Outlook.TIMES_OUT, Confidence.LIKELY)
    assert verdict(diagnosed(daemon, units=reloads)) == (Outlook.EXITS, Confidence.LIKELY)


def test_unseen_processes_are_unknown() -> None:
    found = diagnosed(unseen_reason="not root")
    assert found.outlook is Outlook.UNKNOWN
    assert "not root" in found.evidence[0]


def past(
    verdict: str, took_s: float, grace_s: float = 10.0, container: str = "c" * 64, command: str = "server"
) -> PastStop:
    """Where it was killed, the grace period had run out."""
    killed_s = 0.1 if verdict == "killed" else None
    return PastStop(0.0, container, "box", "image", command, "SIGTERM", grace_s, verdict, 0, took_s, took_s, killed_s)


UNSURE = process(1, "server", exe="/app/server", caught=(TERM,))


def test_earlier_stops_show_what_a_handler_does() -> None:
    assert diagnosed(UNSURE, history=(past("killed", 10.1),) * 3).outlook is Outlook.TIMES_OUT
    assert diagnosed(UNSURE, history=(past("graceful", 0.4),) * 3).outlook is Outlook.EXITS
    assert diagnosed(UNSURE, history=(past("graceful", 0.4, container="d"),) * 3).outlook is Outlook.EXITS
    assert diagnosed(UNSURE, history=(past("killed", 10.1),)).outlook is Outlook.UNKNOWN
    assert diagnosed(UNSURE, history=(past("killed", 10.1), past("graceful", 1.0))).outlook is Outlook.UNKNOWN
    assert diagnosed(UNSURE, history=(past("killed", 2.1, 2.0),) * 3).outlook is Outlook.UNKNOWN
    assert diagnosed(UNSURE, history=(past("graceful", 30.0, 60.0),) * 3).outlook is Outlook.TIMES_OUT


def test_stops_without_an_expired_grace_period_are_ignored() -> None:
    outright = replace(past("killed", 0.1), phase_1_s=0.0)
    impatient = replace(past("killed", 2.1), phase_1_s=2.0)
    restarted = replace(past("restarted", 2.1), exit_code=137, phase_1_s=2.0, phase_2_s=0.1)
    for one in (outright, impatient, restarted):
        assert diagnosed(UNSURE, history=(one,) * 3).outlook is Outlook.UNKNOWN
        assert "killed-before" not in {finding.code for finding in diagnosed(UNSURE, history=(one,) * 3).findings}
    late = replace(restarted, phase_1_s=10.0)
    hurried = past("killed", 2.1, 2.0)  # its grace period was much shorter than this one
    assert "killed-before" not in {finding.code for finding in diagnosed(UNSURE, history=(hurried,) * 3).findings}
    assert "killed-before" in {
        finding.code for finding in diagnosed(UNSURE, timeout_s=2, history=(hurried,) * 3).findings
    }
    assert diagnosed(UNSURE, history=(late,) * 3).outlook is Outlook.TIMES_OUT
    assert diagnosed(UNSURE, history=(replace(late, exit_code=0),) * 3).outlook is Outlook.EXITS


def test_stops_of_another_command_are_ignored() -> None:
    assert diagnosed(UNSURE, history=(past("killed", 10.1, command="other"),) * 3).outlook is Outlook.UNKNOWN


def test_only_stops_of_the_same_container_override_programs_toml() -> None:
    caddy = process(1, "caddy", "run", caught=(TERM,))
    theirs = (past("killed", 10.1, container="d", command="caddy run"),) * 3
    own = (past("killed", 10.1, command="caddy run"),) * 3
    assert diagnosed(caddy, history=theirs).outlook is Outlook.EXITS
    assert diagnosed(caddy, history=own).outlook is Outlook.TIMES_OUT


@pytest.mark.parametrize(
    ("code", "confidence"),
    [
        ("import time; time.sleep(104)", Confidence.LIKELY),  # 100 s old: that is over within the grace period
        ("import time; time.sleep(1000)", Confidence.CERTAIN),
        ("work()", Confidence.LIKELY),
        ("while True: work()", Confidence.CERTAIN),
        ("serve_forever()", Confidence.CERTAIN),
    ],
)
def test_a_job_that_may_finish_soon_is_not_certain_to_time_out(code: str, confidence: Confidence) -> None:
    assert verdict(diagnosed(process(1, "python3", "-c", code))) == (Outlook.TIMES_OUT, confidence)


def test_earlier_stops_do_not_overrule_the_kernel() -> None:
    dropped = process(1, "server", exe="/app/server")
    assert diagnosed(dropped, history=(past("graceful", 0.1),) * 3).outlook is Outlook.TIMES_OUT
    deferred = process(1, "mksh", "-c", "trap 'exit' TERM; server; x", caught=(TERM,), foreground=(7,))
    earlier = (past("graceful", 0.1, command=deferred.command),) * 3
    assert diagnosed(deferred, process(7, "server", parent=1), history=earlier).outlook is Outlook.TIMES_OUT


def test_the_document_has_the_fields_of_the_contract() -> None:
    child = process(7, "worker\udcff", parent=1, exe="/app/worker")
    found = json.loads(json.dumps(doctor_documents.document(diagnosed(process(1, "server", exe="/app/server"), child))))
    assert found["schema"] == 1
    assert found["container"] == "box"
    assert found["stop"] == {
        "signal": "SIGTERM", "signal_source": "default", "timeout_s": 10, "timeout_source": "default",
    }  # fmt: skip
    assert (found["delivery"], found["outlook"], found["graceful"]) == ("dropped", "times-out", "no")
    assert (found["graceful_signal"], found["confidence"]) == (None, "certain")
    assert found["unreached"] == [{"pid": 1007, "container_pid": 7, "command": "worker\ufffd"}]
    assert {"code", "severity", "summary", "evidence", "remedy"} <= set(found["findings"][0])


def test_the_worst_comes_first() -> None:
    good, bad = diagnosed(NGINX, signal="SIGQUIT"), diagnosed(process(1, "server", exe="/app/server"))
    unsure = replace(diagnosed(UNSURE), container="unsure")
    assert [one.outlook for one in doctor.by_trouble((good, unsure, bad))] == ["times-out", "unknown", "exits"]
    assert facts().root is None


def test_programs_at_a_terminal_survive_sigint_and_exit_on_sighup() -> None:
    calculator = process(1, "bc", exe="/usr/bin/bc", caught=(INT, HUP))
    tty = {"tty": True}
    assert verdict(diagnosed(calculator, signal="SIGINT", details=tty)) == (Outlook.TIMES_OUT, Confidence.GUESS)
    assert verdict(diagnosed(calculator, signal="SIGHUP", details=tty)) == (Outlook.EXITS, Confidence.GUESS)
    assert verdict(diagnosed(calculator, signal="SIGHUP")) == (Outlook.TIMES_OUT, Confidence.GUESS)
