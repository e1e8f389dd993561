"""Shells: traps found in scripts, deferred or not, forwarded or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_tui.doctor.readers import traps
from containerlab_tui.model.diagnosis import Confidence, Outlook
from tests.unit.doctor.support import HUP, INT, TERM, codes, diagnosed, process

EXITS, STAYS, UNKNOWN = Outlook.EXITS, Outlook.TIMES_OUT, Outlook.UNKNOWN


def shell(script: str, *children: str, name: str = "bash", foreground: bool = False) -> tuple[Outlook, Confidence]:
    """A shell with a handler for TERM that runs a script and has these children."""
    numbers = tuple(range(7, 7 + len(children)))
    one = process(1, name, "-c", script, caught=(TERM,), foreground=numbers if foreground else ())
    others = [process(number, *child.split(), parent=1) for number, child in zip(numbers, children, strict=True)]
    found = diagnosed(one, *others)
    return found.outlook, found.confidence


@pytest.mark.parametrize(
    ("script", "outlook"),
    [
        ("trap 'exit 0' TERM; sleep 1000 & wait", EXITS),
        ('trap "exit 0" SIGTERM\nsleep 1000 &\nwait', EXITS),
        ("trap -- 'exit 0' 15; sleep 1000 & wait", EXITS),
        ("trap 'echo x' TERM; sleep 1000 & wait", EXITS),
        ("trap 'echo x' TERM; while :; do sleep 1000 & wait; done", STAYS),
        ("trap '' TERM; while :; do sleep 1000 & wait; done", STAYS),
        ("stop() { echo bye; exit 0; }\ntrap stop TERM INT\nsleep 1000 & wait $!", EXITS),
        ("function stop { echo ${x} bye; }\ntrap stop TERM\nwhile true; do sleep 1000 & wait; done", STAYS),
        ("run=1; trap 'run=0' TERM; while [ $run = 1 ]; do sleep 1000 & wait; done", EXITS),
        ("trap 'kill -TERM $p' TERM; sleep 1000 & p=$!; wait $p; wait $p", EXITS),
        ("trap 'wait; exit 0' TERM; sleep 1000 & wait", STAYS),
        ("trap 'kill $p; wait $p; exit' TERM; sleep 1000 & p=$!; wait", EXITS),
        ("for i in 1 2; do echo $i; done; trap 'echo x' TERM; sleep 9999 & wait", EXITS),
        ("trap 'kill $p' TERM; sleep 9999 & p=$!; while kill -0 $p; do wait $p; done", EXITS),
        ("trap 'stop=1' TERM; while :; do sleep 1 & wait; if [ $stop ]; then break; fi; done", EXITS),
        ("trap 'trap - TERM; kill -- -$$' TERM EXIT; sleep 9999 & wait", EXITS),
        ("h() { case $1 in TERM) exit 0;; INT) echo i;; esac; }; trap 'h TERM' TERM; while :; do wait; done", EXITS),
        (
            "h() { case \"$1\" in INT) exit 0;; TERM|HUP) echo i;; esac; }; trap 'h TERM' TERM; while :; do wait; done",
            STAYS,
        ),
        ("TRAPTERM() { exit 0 }; while :; do wait; done", EXITS),
        ('for s in INT TERM; do trap "echo $s; exit 0" $s; done; while :; do wait; done', EXITS),
        ('for s in INT HUP; do trap "echo $s; exit 0" $s; done; trap : TERM; while :; do wait; done', STAYS),
        (
            'on() { f=$1; shift; for s; do trap "$f $s" $s; done; }\nbye() { exit 0; }\non bye INT TERM\n'
            "while :; do wait; done",
            EXITS,
        ),
        ('trap "kill $(jobs -p); wait" TERM; sleep 1000 & wait', STAYS),
        ("trap 'while :; do sleep 1; done' TERM; sleep 1000 & wait", STAYS),
        ("trap 'kill -9 $$' TERM; sleep 1000 & wait; wait", STAYS),
        ("set -e\ntrap 'echo x' TERM; while :; do sleep 1000 & wait $!; done", EXITS),
        ("set -e\ntrap 'echo x' TERM; while :; do sleep 1000 & wait $! || true; done", STAYS),
        ("trap 'exec server' TERM; sleep 1000 & wait", UNKNOWN),
        ("trap : TERM; sleep 1000 &\nfor j in $(jobs -p); do wait $j; done; wait", STAYS),
        ("# trap 'exit 0' TERM\ntrap 'echo x' TERM; while :; do sleep 1000 & wait; done", STAYS),
    ],
)
def test_a_trap_that_runs_at_once(script: str, outlook: Outlook) -> None:
    found, confidence = shell(script, "sleep 1000")
    assert found is outlook
    assert confidence is (Confidence.GUESS if outlook is UNKNOWN else Confidence.LIKELY)


def test_a_deferred_trap_runs_after_the_child_exits() -> None:
    script = "trap 'exit 0' TERM; sleep 1000; true"
    assert shell(script, "sleep 1000", foreground=True) == (STAYS, Confidence.CERTAIN)
    assert shell(script, "server", foreground=True) == (STAYS, Confidence.LIKELY)
    alone = process(1, "bash", "-c", script, caught=(TERM,), foreground=(7,))
    may_end_it = process(8, "watchdog", parent=1)
    found = diagnosed(alone, process(7, "sleep", "1000", parent=1), may_end_it)
    assert (found.outlook, found.confidence) == (STAYS, Confidence.LIKELY)
    looped = "trap 'exit 0' TERM; while :; do sleep 1; done"
    one = process(1, "bash", "-c", looped, caught=(TERM,), foreground=(7,))
    assert diagnosed(one, process(7, "sleep", "1", parent=1, age_s=0.2)).outlook is EXITS


def test_a_background_command_defers_no_trap() -> None:
    script = "trap 'exit 0' TERM INT; sleep 1000 & wait $!"
    assert shell(script, "sleep 1000", name="mksh", foreground=True)[0] is EXITS


def test_a_shell_that_blocks_while_it_waits_for_a_command() -> None:
    one = process(1, "yash", "-c", "trap 'exit 0' TERM; x=$(sleep 9999)", caught=(TERM,), blocked=(TERM,))
    assert diagnosed(one, process(7, "sleep", "9999", parent=1)).outlook is STAYS
    assert diagnosed(one, process(7, "sleep", "2", parent=1, age_s=1)).outlook is EXITS


def test_a_handler_that_cannot_be_explained_is_unknown() -> None:
    assert shell(". /traps.sh; sleep 1000 & wait", "sleep 1000")[0] is UNKNOWN
    assert diagnosed(process(1, "bash", "/entry.sh", caught=(TERM,))).outlook is UNKNOWN


def test_a_shell_as_pid_1_is_certain_and_named() -> None:
    found = diagnosed(process(1, "sh", "-c", "server; true", exe="/usr/bin/dash"), process(7, "server", "-x", parent=1))
    assert (found.outlook, found.confidence) == (STAYS, Confidence.CERTAIN)
    assert "shell-in-front" in codes(found)
    assert "signal-dropped" not in codes(found)
    remedy = next(one.remedy for one in found.findings if one.code == "shell-in-front")
    assert 'CMD ["server", "-x"]' in remedy
    assert "exec server -x" in remedy


def test_a_trap_that_signals_its_own_shell_loops_in_some_shells() -> None:
    script = "trap 'kill 0' TERM; sleep 1000 & wait"
    assert shell(script, "sleep 1000", name="zsh")[0] is STAYS
    assert shell(script, "sleep 1000", name="bash")[0] is EXITS
    assert shell("trap 'trap - TERM; kill 0; exit' TERM; sleep 1000 & wait", "sleep 1000", name="zsh")[0] is EXITS


def test_bash_continues_read_after_a_trap_that_does_not_exit() -> None:
    script = "trap 'echo x' TERM; while read x; do echo $x; done"
    assert (shell(script)[0], shell(script, name="dash")[0]) == (STAYS, EXITS)
    assert shell("trap 'exit 0' TERM; read x")[0] is EXITS


def test_a_reset_trap_in_ksh_does_not_terminate_pid_1() -> None:
    script = "trap 'exit 0' TERM; trap - TERM; sleep 1000 & wait"
    assert shell(script, "sleep 1000", name="ksh93")[0] is STAYS
    assert shell("trap 'exit 0' INT; sleep 1000 & wait", "sleep 1000", name="ksh93")[0] is EXITS


def test_a_shell_with_its_own_handler_exits_after_its_command() -> None:
    one = process(1, "mksh", "-c", "while :; do sleep 2; done", caught=(TERM,), foreground=(7,))
    assert diagnosed(one, process(7, "sleep", "2", parent=1, age_s=1)).outlook is EXITS
    assert diagnosed(one, process(7, "sleep", "2000", parent=1)).outlook is STAYS


def test_a_trap_in_a_shell_that_always_handles_the_signal_is_deferred() -> None:
    every = tuple(range(1, 32))
    script = "trap 'echo bye' EXIT; trap 'exit 0' TERM; sleep 1000; true"
    one = process(1, "bash", "-c", script, caught=every, foreground=(7,))
    assert diagnosed(one, process(7, "sleep", "1000", parent=1)).outlook is STAYS


@pytest.mark.parametrize("script", ["wait-for db; trap 'exit 0' TERM; sleep 1000 & wait", "a; . /lib.sh; b"])
def test_a_shell_that_may_still_set_a_trap_is_not_certain(script: str) -> None:
    found = diagnosed(process(1, "sh", "-c", script, exe="/usr/bin/dash"), process(7, "a", parent=1))
    assert (found.outlook, found.confidence) == (STAYS, Confidence.LIKELY)


def test_a_trap_in_a_file_that_the_script_reads_counts() -> None:
    child = process(7, "sleep", "1000", parent=1)
    files = {(1, "/e.sh"): '. "$(dirname "$0")/lib.sh"\nsleep 1000 &\nwait\n', (1, "&/lib.sh"): "trap 'exit 0' TERM\n"}
    one = process(1, "bash", "/e.sh", caught=(TERM,))
    assert diagnosed(one, child, files=files).outlook is EXITS
    del files[1, "&/lib.sh"]
    assert diagnosed(one, child, files=files).outlook is UNKNOWN
    code = process(1, "bash", "-c", ". /lib.sh; while :; do wait; done", caught=(TERM,))
    assert diagnosed(code, child, files={(1, "&/lib.sh"): "trap : TERM"}).outlook is STAYS


def test_a_script_exits_after_its_last_short_sleep() -> None:
    for rest, outlook in (("true", EXITS), ("server", STAYS)):
        one = process(1, "sh", "-c", f"sleep 4; {rest}", exe="/usr/bin/dash")
        assert diagnosed(one, process(7, "sleep", "4", parent=1, age_s=1)).outlook is outlook


def test_the_script_may_continue_after_a_group_signal() -> None:
    init = process(1, "dumb-init", "bash", sigwait=(TERM,))
    script = "trap 'echo x' TERM; sleep 1000; sleep 1001"
    one = process(7, "bash", "-c", script, parent=1, caught=(TERM,), foreground=(8,))
    assert diagnosed(init, one, process(8, "sleep", "1000", parent=7)).outlook is STAYS


def test_a_handler_without_a_script_means_a_trap_from_standard_input() -> None:
    assert diagnosed(process(1, "dash", caught=(TERM,))).outlook is EXITS
    assert diagnosed(process(1, "dash", "-i", caught=(TERM,))).outlook is STAYS


def test_under_job_control_the_script_shows_background_commands() -> None:
    files = {(1, "/e.sh"): 'set -m\ntrap "exit 0" TERM\n"$@" &\nwait\n'}
    one = process(1, "bash", "/e.sh", "sleep", "1000", caught=(TERM,), foreground=(7,))
    assert diagnosed(one, process(7, "sleep", "1000", parent=1), files=files).outlook is EXITS
    script = "set -m; trap 'exit 0' TERM; sleep 1000; true"
    assert shell(script, "sleep 1000", foreground=True) == (STAYS, Confidence.LIKELY)


def test_a_subshell_has_only_its_own_traps() -> None:
    for body, outlook in (("", STAYS), ("exit 0", EXITS)):
        script = f"(trap '{body}' TERM; sleep 1000 & wait) & p=$!; trap 'kill $p; wait $p; exit 0' TERM; wait $p"
        one = process(1, "ksh93", "-c", script, caught=(TERM,))
        other = process(7, "ksh93", "-c", script, parent=1, caught=(TERM,))
        assert diagnosed(one, other, process(8, "sleep", "1000", parent=7)).outlook is outlook


def test_fish_exits_on_sigint_unless_it_waits_for_a_command() -> None:
    for script, outlook in (("sleep 1000; true", STAYS), ("sleep 1000 &; wait", EXITS)):
        one = process(1, "fish", "-c", script, caught=(INT,))
        assert diagnosed(one, process(7, "sleep", "1000", parent=1), signal="SIGINT").outlook is outlook


def test_fish_defers_its_handlers_even_in_wait() -> None:
    one = process(1, "fish", "-c", "trap 'exit 0' TERM; sleep 1000 &; wait", caught=(TERM,))
    assert diagnosed(one, process(7, "sleep", "1000", parent=1)).outlook is STAYS
    assert diagnosed(process(1, "fish", "-c", "trap 'exit 0' TERM; read x", caught=(TERM,))).outlook is STAYS
    assert diagnosed(one, process(7, "sleep", "2", parent=1, age_s=1)).outlook is EXITS


def test_rc_and_the_c_shells() -> None:
    one = process(1, "rc", "-c", "sleep 1000; true", exe="/usr/bin/rc.byron", caught=(INT,))
    assert diagnosed(one, process(7, "sleep", "1000", parent=1), signal="SIGINT").outlook is STAYS
    handler = process(1, "rc", "-c", "fn sigterm { exit }; sleep 1000 & wait", caught=(TERM,))
    assert diagnosed(handler, process(7, "sleep", "1000", parent=1)).outlook is EXITS
    deferred = process(1, "rc", "-c", "fn sigterm { exit }; sleep 1000; true", caught=(TERM,))
    assert diagnosed(deferred, process(7, "sleep", "1000", parent=1)).outlook is STAYS
    at_prompt = process(1, "tcsh", caught=(INT, HUP))
    assert diagnosed(at_prompt, signal="SIGINT", details={"tty": True}).outlook is STAYS
    assert diagnosed(at_prompt, signal="SIGHUP", details={"tty": True}).outlook is EXITS


def test_a_coprocess_is_in_the_background() -> None:
    script = "trap 'exit 0' TERM; coproc cat; wait"
    assert shell(script, "cat", foreground=True)[0] is EXITS


def test_a_container_whose_main_thread_has_exited_gets_no_signal() -> None:
    found = diagnosed(process(1, "server", exe="/app/server", state="Z", threads=3))
    assert (found.outlook, found.confidence) == (STAYS, Confidence.LIKELY)


def test_a_script_that_may_still_exec_is_not_certain() -> None:
    script = {(1, "/entry.sh"): "setup\nexec server\n"}
    one, other = process(1, "sh", "/entry.sh", exe="/usr/bin/dash"), process(7, "setup", parent=1)
    assert diagnosed(one, other, files=script).confidence is Confidence.LIKELY


def test_findings_distinguish_immediate_and_deferred_traps() -> None:
    at_once = process(1, "bash", "-c", "trap 'exit 0' TERM; sleep 1000 & wait", caught=(TERM,))
    assert "trap-waits" in codes(diagnosed(at_once, process(7, "sleep", "1000", parent=1)))
    deferred = process(1, "bash", "-c", "trap 'exit 0' TERM; sleep 1000; x", caught=(TERM,), foreground=(7,))
    assert "trap-deferred" in codes(diagnosed(deferred, process(7, "sleep", "1000", parent=1)))


def test_shells_that_read_commands() -> None:
    at_terminal = process(1, "bash", caught=(INT, HUP), ignored=(TERM,))
    assert diagnosed(at_terminal, signal="SIGINT").outlook is STAYS
    assert diagnosed(at_terminal, signal="SIGHUP", details={"tty": True}).outlook is EXITS


def test_bash_with_an_exit_trap_exits_in_its_own_handler() -> None:
    assert shell("trap 'echo bye' EXIT; sleep 1000; x", "sleep 1000")[0] is EXITS


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(script: str) -> None:
    traps.trap_for(script, TERM)
    traps.main_part(script)
    shell(script, "sleep 1000")


@given(st.sampled_from(["TERM", "SIGTERM", "15"]), st.sampled_from(["'{}'", '"{}"']))
def test_a_trap_is_found_in_each_spelling(signal: str, quotes: str) -> None:
    found = traps.trap_for(f"true; trap {quotes.format('echo x; exit 3')} INT {signal}\nwait", TERM)
    assert found is not None
    assert found.body == "echo x; exit 3"
