"""Text from a container is untrusted: it must neither break the doctor nor keep it busy for long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.records import Process
from containerlab_tui.doctor.programs.supervisord import includes_of
from containerlab_tui.doctor.readers.scripts import neighbours
from containerlab_tui.model.diagnosis import Confidence, Outlook
from tests.unit.doctor.support import HUP, INT, TERM, diagnosed, process

QUIT = 3
LIMIT = 256 * 1024
"""Characters of one file that are read (services/diagnosis)."""
MOST_S = 1.0
"""Seconds of this thread's CPU time that one diagnosis may take: other work on the machine doesn't count. On a
virtual machine stolen time does, so the limit is several times what a diagnosis needs."""


def full(piece: str, size: int = LIMIT) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def takes_s(*processes: Process, **more: object) -> float:
    started = time.thread_time()
    diagnosed(*processes, **more)
    return time.thread_time() - started


SHELL_PIECES = [
    "\n", " ", "\t \n", "#\n", ";", "a", "a-", "a ", "(", "( ", "{", "}", "${", "$(", "'", '"', "`", "&", "\\", "x=",
    "for;do ", "for ", "for x in y\n", "while x; do ", "while x;\n", "while :;do ", "until ", "do ", "done ",
    "case $1 in ", "esac ", "f(){ ", "f(){ :;}\n", "f(){ :;}\ntrap f TERM\n", "f(){ f;f;f;}\n", "function ", "a()(",
    "trap 'x y' TERM\n", 'trap "x" TERM\n', "trap 'x' $s\n", "trap x a ", "trap x ² ", "trap ", "(trap ",
    "kill ", "(kill ", "kill $(jobs ", "wait ", "sleep 1 ", "sleep 9", "exec ", "exec\n", ". ./b\n", "source ", ". ",
    "fn sigterm {", "set -e", "then ", "x && ", "read ", "coproc ", "$(dirname ", "TRAPTERM(){ f;}\n",
]  # fmt: skip
TRAPS = "trap 'f; x=1; kill $!; sleep 1' TERM\nf(){ x; }\nwhile x; do wait; done\n"


@pytest.mark.parametrize("size", [LIMIT, 32 * 1024 - 200])
@pytest.mark.parametrize("piece", SHELL_PIECES)
def test_no_script_of_a_shell_keeps_the_doctor_busy(piece: str, size: int) -> None:
    text = full(piece, size)
    texts = (text, TRAPS + text, text + TRAPS, f"trap '{text.replace(chr(39), '')}' TERM\nwait\n")
    for one in texts if size < LIMIT else texts[:1]:
        for caught, foreground in (((), ()), ((TERM,), ()), ((TERM,), (7,))):
            child = process(7, "sleep", "1000", parent=1)
            by_file = process(1, "sh", "/x.sh", exe="/bin/dash", caught=caught, foreground=foreground)
            assert takes_s(by_file, child, files={(1, "/x.sh"): one, (1, "&./b"): text}) < MOST_S
        by_word = process(1, "sh", "-c", one, exe="/bin/bash", caught=(TERM,))
        assert takes_s(by_word, process(7, *one.split()[:9000], parent=1, exe="/x")) < MOST_S


def test_empty_lines_before_a_trap_change_nothing() -> None:
    text = "\n" * 200_000 + 'trap "exit 0" TERM; while :; do sleep 1; done'
    found = diagnosed(process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,)), files={(1, "/x.sh"): text})
    assert found.outlook is Outlook.EXITS
    assert "It exits." in found.evidence


def test_an_oversized_script_is_not_analysed() -> None:
    text = "trap 'exit 0' TERM\n" + "echo hello\n" * 5000 + "trap : TERM\nwait\n"
    found = diagnosed(process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,)), files={(1, "/x.sh"): text})
    assert found.outlook is Outlook.UNKNOWN
    assert any("is too long" in one for one in found.evidence)


def test_an_oversized_script_may_contain_a_trap() -> None:
    shell, child = process(1, "sh", "/x.sh", exe="/bin/dash"), process(7, "sleep", "1000", parent=1)
    short, long = (diagnosed(shell, child, files={(1, "/x.sh"): "sleep 1000\n" * lines}) for lines in (1, 5000))
    assert (short.outlook, short.confidence) == (Outlook.TIMES_OUT, Confidence.CERTAIN)
    assert (long.outlook, long.confidence) == (Outlook.TIMES_OUT, Confidence.LIKELY)


def test_an_oversized_program_is_not_analysed() -> None:
    long = "process.on('SIGTERM', () => {});\n" + "f();\n" * 20_000
    one = process(1, "node", "/x.js", exe="/usr/bin/node", caught=(TERM,))
    assert diagnosed(one, files={(1, "/x.js"): long}).outlook is Outlook.UNKNOWN
    assert diagnosed(one, files={(1, "/x.js"): "require('./y')\n", (1, "&/y.js"): long}).outlook is Outlook.UNKNOWN
    assert diagnosed(one, files={(1, "/x.js"): HEADS["node"], (1, "&/y.js"): long}).outlook is Outlook.EXITS


def test_a_file_that_is_sourced_repeatedly_is_inserted_once() -> None:
    text = ". ./b\n" * 1500
    read = "trap 'exit 0' TERM\n" + "echo hello\n" * 1000
    one = process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,))
    files = {(1, "/x.sh"): text, (1, "&./b"): read}
    assert diagnosed(one, files=files).outlook is Outlook.EXITS
    assert takes_s(one, files=files) < MOST_S


CONFIGURATIONS = {
    "supervisord": ("supervisord", "/usr/bin/supervisord", "/etc/supervisord.conf"),
    "uwsgi": ("uwsgi --ini /app.ini", "/usr/bin/uwsgi", "/app.ini"),
    "s6": ("s6-supervise web", "/bin/s6-supervise", "timeout-kill"),
    "s6-signal": ("s6-supervise web", "/bin/s6-supervise", "down-signal"),
    "s6-finish": ("s6-supervise web", "/bin/s6-supervise", "finish"),
    "nginx": ("nginx -c /n.conf", "/usr/sbin/nginx", "/n.conf"),
    "squid": ("squid -f /s.conf", "/usr/sbin/squid", "/s.conf"),
    "haproxy": ("haproxy -f /h.cfg", "/usr/sbin/haproxy", "/h.cfg"),
}
"""Command line, program and the file whose text is tried."""
NUMBERS = ["²", "٣", "inf", "-inf", "nan", "1e999", "9" * 5000, "0" * 5000 + "1", "-1", "", "1_0", "0x10", "1.5", "."]
CONFIGURATION_PIECES = [
    "\n", " ", "=", "[", "[]\n", "[a]\n", "[DEFAULT]\n", "[program:a]\n", "[program:a]\ncommand=", "a=b\n", "a ", ";",
    "[include]\nfiles=a", "* ", "x \n ", "master", "master!", "die-on-term", "<master", "worker_shutdown_timeout ",
    "sleep 1", "sleep ", "9", "%(ENV_A)s", "hard-stop-after 9", "shutdown_lifetime ", "include = ", "é",
]  # fmt: skip


def configured_by(name: str, text: str, signal: str = "SIGTERM") -> float:
    command, exe, path = CONFIGURATIONS[name]
    init = process(1, *command.split(), exe=exe, caught=(TERM, HUP, QUIT))
    children = [process(7 + one, "sleep", "1000", parent=1) for one in range(5)]
    files = {(1, path): text, (1, "+/etc/a.conf"): text, (1, "+/etc/b.conf"): text}
    environment = {1001: {"A": "x" * 100_000}}
    return takes_s(init, *children, files=files, environments=environment, signal=signal, clients=3)


@pytest.mark.parametrize("piece", CONFIGURATION_PIECES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_configuration_keeps_the_doctor_busy(name: str, piece: str) -> None:
    for head in ("", "[include]\nfiles=", "[program:x]\ncommand=", "[program:x]\n", "[a]\nx"):
        assert configured_by(name, full(head + piece if len(piece) < 4 and "\n" in head else piece)) < MOST_S
        assert configured_by(name, head + full(piece, LIMIT // 3 - 50)) < MOST_S


def test_many_programs_and_many_defaults_take_no_longer() -> None:
    defaults = "[DEFAULT]\n" + "".join(f"a{one}=\n" for one in range(10_000))
    sections = "".join(f"[program:p{one}]\ncommand=x{one}\n" for one in range(4_000))
    assert configured_by("supervisord", defaults + sections) < MOST_S


@pytest.mark.parametrize("number", NUMBERS)
def test_any_number_from_a_container_is_parsed(number: str) -> None:
    keys = "".join(f"{key}={number}\n" for key in ("numprocs", "stopwaitsecs", "stopsignal", "command", "nodaemon"))
    configured_by("supervisord", f"[supervisord]\nnodaemon=true\n[program:a]\n{keys}")
    configured_by("s6", number)
    configured_by("s6-signal", number)
    configured_by("s6-finish", f"sleep {number}\n")
    configured_by("nginx", f"worker_shutdown_timeout {number}s;\n", "SIGQUIT")
    configured_by("haproxy", f"hard-stop-after {number}d\n")
    configured_by("squid", f"shutdown_lifetime {number} seconds\n")
    diagnosed(process(1, "gunicorn", f"--graceful-timeout={number}", caught=(TERM,)), clients=2)
    diagnosed(process(1, "sleep", number, caught=(TERM,)))
    diagnosed(process(1, "timeout", "-k", number, "5", "x", caught=(TERM,)), process(2, "sleep", number, parent=1))
    diagnosed(process(1, "dumb-init", "-r", f"{number}:{number}", "x", caught=(TERM,)), process(2, "x", parent=1))
    script = f"trap 'sleep {number}; exit' TERM\nsleep {number}\nwait"
    diagnosed(process(1, "sh", "-c", script, exe="/bin/dash", caught=(TERM,)), process(2, "sleep", number, parent=1))


UNIT = st.lists(st.sampled_from(
    ["\n", " ", "[", "]", "program:", "group:", "include", "DEFAULT", "=", ":", "files", "command", "stopwaitsecs",
     "numprocs", "stopsignal", "programs", "nodaemon", "master", "die-on-term", ";", "#", "'", '"', "\\", "%(ENV_A)s",
     "a", "²", "9", "sleep", "TERM", "\r", "\x85", "\x1c", "\ud800", "é", "\ufeff", ",", "\t"],
)).map("".join)  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
@given(text=st.one_of(UNIT, st.text()))
def test_any_configuration_can_be_read(name: str, text: str) -> None:
    assert configured_by(name, text) < MOST_S
    assert all(len(one) < 5000 for one in includes_of(text, "/etc/supervisord.conf"))


UNIT_PIECES = ["\n", "ExecReload=kill ", "ExecReload=", "ExecReload=\n", "KillSignal=", "KillSignal=x", "ExecStop=\n"]


@pytest.mark.parametrize("piece", UNIT_PIECES)
def test_no_unit_keeps_the_doctor_busy(piece: str) -> None:
    for size in (LIMIT, 64 * 1024 - 1):
        for name in ("SIGTERM", "SIGHUP"):
            units = {"/usr/sbin/x": full(piece, size)}
            one = process(1, "x", exe="/usr/sbin/x", caught=(TERM, HUP))
            assert takes_s(one, signal=name, units=units) < MOST_S


@pytest.mark.parametrize(
    "piece", ["a", "/start_server ", "master -i ", "master ", "-", "-i", "é", "- ", "-Xx ", "a.ini "]
)
def test_no_command_line_keeps_the_doctor_busy(piece: str) -> None:
    word = full(piece, 128 * 1024)
    for name in ("sh", "master", "uwsgi", "nginx", "supervisord", "dumb-init", "java", "python3", "node", "x"):
        for argv in ((name, word), (name, *[word] * 15), (name, *word.split()), (word, name), (name, "-c", word)):
            child = process(7, *argv, parent=1, exe=f"/usr/bin/{name}")
            shell = process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,))
            assert takes_s(shell, child, files={(1, "/x.sh"): f"trap 'kill $!' TERM\n{name} &\nwait\n"}) < MOST_S
            assert takes_s(process(1, *argv, exe=f"/usr/bin/{name}", caught=(TERM,))) < MOST_S


PROGRAM_PIECES = {
    "node": [
        "/* ", "*/", "// ", "process.on(",
        'process.on("SIGTERM", a)\n', 'process.on("SIGTERM", () => { f(); g = 1 });\n',
        "f = (", "function ", "function f(", "a=", "if(", "if (g ", "setTimeout(", "setTimeout(process.exit ", ",1)",
        "process.on(s, ", "'SIGTERM',", "a(", "a(b(c(", "`", "{", "require('./a')", "a => {", "async a(",
        "f=f(){f()}\n",
    ],
    "ruby": [
        "trap('TERM') { x = 1 }\n", "trap(s) do\n", "rescue ", "rescue Exception\n", "[TERM ", "%w[", "[", "sleep 1 ",
        "while ", "#", "ensure ", "=begin\n", "trap ", "Process.kill ",
    ],
    "perl": [
        "$SIG{TERM} ", "$SIG{TERM} = sub { $x = 1 };\n", "$SIG{TERM}=", "qw(", "qw( TERM", "sigtrap ", "while ", "sub ",
        "= sub ", "sigaction(SIGTERM ", "kill ", "while ($", "$a++ ", "eval {", "use sigtrap TERM ", "'TERM'",
    ],
    "php": [
        "pcntl_signal(SIGTERM, ", "pcntl_signal(SIGTERM, 'f');\n", "'a',", "function f(", "/*", "while(", "$a=",
        "fgets(",
        "declare(ticks", "a(...)",
    ],
    "guile": ["(sigaction SIGTERM ", "(", "(lambda "],
    "python": [
        "x\n", "(", "[", "not ", "-", "a.", "a()", "f()()", "1+", "x=1\n", "import a\n", "import signal\n", "#", "'",
        "signal.signal(SIGTERM, f)\n", "signal.signal(s, f)\nfor s in SIGTERM, x: pass\n", "def f(): f(); g()\n",
        "def f(s, x):\n  g(f, f)\n", "while x: pass\n", "try: pass\nexcept X: pass\n",
        "while 1:\n try: x()\n except X: y\n",
        "Thread(target=f).start()\n", "p.submit(f)\n", "atexit.register(f)\n", "time.sleep(1)\n", "sys.exit()\n",
        "raise X\n", "class X(Y): pass\n", "os.kill(os.getpid(), 9)\n", "if x: break\n", "a=b=", "async def f(): g()\n",
        "elif x: pass\n", "lambda: ", "0 if x else ", "faulthandler.register(SIGTERM)\n", "sigwait(x)\n", "f(f, ",
        "sleep(0x" + "f" * 5000 + ")\n", "sleep(1e999)\n",
    ],
}  # fmt: skip
HEADS = {
    "node": "process.on('SIGTERM', () => { f(); g = 1; setTimeout(() => process.exit(), 10) })\n",
    "ruby": "trap('TERM') { @x = 1 }\n",
    "perl": "$SIG{TERM} = sub { $x = 1; f(); };\n",
    "php": "pcntl_async_signals(true); pcntl_signal(SIGTERM, 'f'); function f($a) { $x = 1; }\n",
    "guile": "(sigaction SIGTERM (lambda () (f)))\n",
    "python": "import signal, threading\ndef f(s, x):\n    global g\n    g = 1\n    f(f)\nsignal.signal(SIGTERM, f)\n",
}


def run_by(family: str, text: str, other: str | None = None, signal: str = "SIGTERM") -> float:
    one = process(1, family, "/x", exe=f"/usr/bin/{family}", caught=(TERM, INT), threads=3)
    child = process(2, "sleep", "1000", parent=1)
    files = {(1, "/x"): text} | ({} if other is None else {(1, "&/y"): other})
    return takes_s(one, child, files=files, signal=signal, clients=2)


@pytest.mark.parametrize(
    ("family", "piece"), [(family, piece) for family, pieces in PROGRAM_PIECES.items() for piece in pieces]
)
def test_no_program_of_an_interpreter_keeps_the_doctor_busy(family: str, piece: str) -> None:
    head, size = HEADS[family], 64 * 1024 - 200
    lines = head + full(piece, size).rpartition("\n")[0] + "\n"
    for text in (full(piece), full(piece, size), head + full(piece, size - 200), full(piece, size - 200) + head, lines):
        for signal in ("SIGTERM", "SIGINT"):
            assert run_by(family, text, signal=signal) < MOST_S
    assert run_by(family, head, full(piece, size)) < MOST_S
    neighbours(process(1, family, "/x", exe=f"/usr/bin/{family}"), "/x", full(piece))


WORDS = {
    "sh": ["trap", "TERM",
           "f", "()", "{", "}", "case", "$1", "in", "esac", ")", "while", "do", "done", "wait", "kill",
           "for", "s", "$s", "exit", "sleep", ". ./b", "'", '"', ";", "&", "(", "${", "-", "SIG",
           "15", "²", "TRAPTERM"],
    "python": ["import", "signal", ".signal(", "SIGTERM", ",", "def", "f", "(", ")", ":", "while", "True", "sleep", "1",

               "    ", "except", "try", "raise", "class", "lambda", "=", "0x" + "f" * 400, "1e999", "'", "[", "]",
               "for",
               "in", "threading", "Thread(target=f)", "atexit.register(f)", "pool.submit(", "getattr(", "async"],
    "node": ["process.on(", "'SIGTERM'", ",", "()", "=>", "{", "}", ")", "f", "=", "function", "(", "setTimeout",
             "process.exit", "_", "1", "`", "/*", "*/", "while", "if", "\\"],
    "perl": ["$SIG{", "TERM", "}", "=", "sub", "{", "\\&f", ";", "'", "qw(", ")", "while", "$x", "die", "sigtrap",
             "kill"],
    "ruby": ["trap", "(", "'TERM'", ")", "{", "}", "do", "end", "rescue", "Exception", "sleep", "9" * 400, "[", "]",
             ".each", "while", "=", "@x", "ensure", "loop"],
    "php": ["pcntl_signal", "(", "SIGTERM", ",", "'f'", ")", "function", "f", "{", "}", "=", "$x", "while", "die",
            "...",
            "pcntl_async_signals(true)", ";", "sleep"],
}  # fmt: skip


@pytest.mark.parametrize("family", WORDS)
@given(data=st.data())
def test_any_script_can_be_read(family: str, data: st.DataObject) -> None:
    words = st.lists(st.sampled_from([*WORDS[family], "\n", " ", "\n", " "]), max_size=60).map("".join)
    text = data.draw(st.one_of(words, words.map(lambda one: HEADS.get(family, TRAPS) + one), st.text()))
    for signal in ("SIGTERM", "SIGINT"):
        assert run_by(family, text, signal=signal) < MOST_S


MANY = 10_000
DEEP = [
    "(" * MANY + ")" * MANY, "[" * MANY + "]" * MANY, "not " * MANY + "x", "-" * MANY + "1", "1" + "+1" * MANY,
    "1" + "+1" * 600, "a" + ".b" * 900 + "()", "a" + "()" * 2000, "a" + "[0]" * 900, "lambda: " * MANY + "1",
    "1 if x else " * MANY + "1", "if x: pass\n" + "elif x: pass\n" * MANY, "(" * 190 + "not " * 500 + "x" + ")" * 190,
    "1" + "**1" * 900, "f(" * 190 + ")" * 190, "x = 0x" + "f" * 5000, "'" + "\\N{" * MANY, "f'" + "{" * MANY,
]  # fmt: skip


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_a_deeply_nested_program_is_read(text: str) -> None:
    around = f"X = {text}" if "if" not in text[:3] else text
    handler_of = (
        "import signal, threading\nthreading.Thread(target=f)\nsignal.set_wakeup_fd(1)\nsignal.signal(SIGTERM, {})\n"
    )
    for one in (text, f"{HEADS['python']}{around}\n", handler_of.format("f") + around, handler_of.format(f"({text})")):
        assert run_by("python", one) < MOST_S
        assert run_by("python", one, signal="SIGINT") < MOST_S
