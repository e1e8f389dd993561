"""Handlers found in the source of Python, Node, Ruby, Perl and PHP programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_tui.doctor.readers import python, python_tree, scripting_languages
from containerlab_tui.model.diagnosis import Outlook
from tests.unit.doctor.support import INT, TERM, diagnosed, process

EXITS, STAYS, UNKNOWN = Outlook.EXITS, Outlook.TIMES_OUT, Outlook.UNKNOWN
HEAD = "import asyncio, os, signal, sys, threading, time\n"
LOOP = "\nwhile True: time.sleep(1)"


def runs(interpreter: str, option: str, code: str, signal: str = "SIGTERM", init: bool = True) -> Outlook:
    one = process(1, interpreter, option, code, exe=f"/usr/bin/{interpreter}", caught=(INT, TERM), init=init)
    return diagnosed(one, signal=signal).outlook


@pytest.mark.parametrize(
    ("code", "outlook"),
    [
        ("signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))" + LOOP, EXITS),
        ("signal.signal(signal.SIGTERM, lambda *a: print('no'))" + LOOP, STAYS),
        ("def h(s, f):\n    print(1)\n    os._exit(0)\nsignal.signal(15, h)" + LOOP, EXITS),
        ("def h(s, f): bye()\ndef bye(): raise SystemExit\nsignal.signal(signal.SIGTERM, h)" + LOOP, EXITS),
        ("def h(s, f): pass\nfor s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, h)" + LOOP, STAYS),
        ("run = True\ndef h(s, f):\n    global run\n    run = False\nsignal.signal(signal.SIGTERM, h)\n"
         "while run: time.sleep(1)", EXITS),
        ("run = True\ndef h(s, f):\n    global run\n    run = False\nsignal.signal(signal.SIGTERM, h)\n"
         "while run: time.sleep(60)", STAYS),
        ("class A:\n    stop = False\n    def __init__(self): signal.signal(signal.SIGTERM, self.h)\n"
         "    def h(self, *a): self.stop = True\na = A()\nwhile not a.stop: time.sleep(1)", EXITS),
        ("e = threading.Event()\nsignal.signal(signal.SIGTERM, lambda *a: e.set())\ne.wait()", EXITS),
        ("signal.signal(signal.SIGTERM, lambda *a: print('x'))\nsignal.pause()", EXITS),
        ("signal.signal(signal.SIGTERM, lambda *a: print('x'))\nwhile True: signal.pause()", STAYS),
        ("def h(s, f):\n    signal.signal(s, signal.SIG_DFL)\n    os.kill(os.getpid(), s)\n"
         "signal.signal(signal.SIGTERM, h)" + LOOP, STAYS),
        ("signal.signal(signal.SIGTERM, lambda *a: httpd.shutdown())\nhttpd.serve_forever()", STAYS),
        ("signal.signal(signal.SIGTERM, lambda *a: threading.Thread(target=httpd.shutdown).start())\n"
         "httpd.serve_forever()", EXITS),
        ("async def main():\n    stop = asyncio.Event()\n"
         "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)\n    await stop.wait()", EXITS),
        ("loop.add_signal_handler(signal.SIGTERM, print, 'x')\nloop.run_forever()", STAYS),
        ("loop.add_signal_handler(signal.SIGTERM, loop.stop)\nloop.run_forever()", EXITS),
        ("from aiohttp import web\nweb.run_app(app)", EXITS),
        ("def h(s, f):\n    os.write(1, b'x')\nsignal.signal(signal.SIGTERM, h)" + LOOP, STAYS),
        ("def h(s, f):\n    os.write(pipe, b'x')\nsignal.signal(signal.SIGTERM, h)" + LOOP, EXITS),
        ("def h(s, f):\n    if s == signal.SIGINT: sys.exit(0)\nsignal.signal(signal.SIGTERM, h)" + LOOP, STAYS),
        ("def h(s, f):\n    if s == signal.SIGTERM: sys.exit(0)\nsignal.signal(signal.SIGTERM, h)" + LOOP, EXITS),
        ("def h(s, f):\n    if s in (signal.SIGINT, signal.SIGTERM):\n        sys.exit(0)\n"
         "signal.signal(signal.SIGTERM, h)" + LOOP, EXITS),
        ("def h(s, f):\n    if s != signal.SIGTERM:\n        sys.exit(0)\n    else:\n        print(1)\n"
         "signal.signal(signal.SIGTERM, h)" + LOOP, STAYS),
        ("def h(s, f): sys.exit(0)\nsignal.signal(15, h)\nwhile True:\n"
         "    try: time.sleep(1)\n    except: pass", STAYS),
        ("class Stop(Exception): pass\ndef h(s, f): raise Stop\nsignal.signal(15, h)\nwhile True:\n"
         "    try: time.sleep(1)\n    except Exception: pass", STAYS),
        ("def h(s, f): sys.exit(0)\nsignal.signal(15, h)\nwhile True:\n"
         "    try: time.sleep(1)\n    except Exception: pass", EXITS),
        ("def h(s, f): sys.exit(0)\ndef w():\n    while True:\n        try: x()\n        except: pass\n"
         "signal.signal(15, h)\nthreading.Thread(target=w, daemon=True).start()" + LOOP, EXITS),
        ("run = 1\ndef h(s, f):\n    global run\n    run = 0\nsignal.signal(15, h)" + LOOP, STAYS),
        ("def h(s, f):\n    signal.signal(15, signal.SIG_IGN)\n    sys.exit(0)\nsignal.signal(15, h)" + LOOP, EXITS),
        ("p = subprocess.Popen(['x'])\nsignal.signal(15, lambda s, f: p.send_signal(s))\np.wait()", EXITS),
        ("signal.signal(15, lambda *a: sys.exit(0))\ntry: time.sleep(99)\nfinally: time.sleep(60)", STAYS),
        ("import atexit\natexit.register(time.sleep, 60)\nsignal.signal(15, lambda *a: sys.exit(0))" + LOOP, STAYS),
        ("async def main():\n    loop.add_signal_handler(15, stop.set)\n    time.sleep(1000)", STAYS),
        ("signal.set_wakeup_fd(b.fileno())\nsignal.signal(15, lambda *a: None)\nselect.select([a], [], [])", EXITS),
        ("gevent.signal_handler(signal.SIGTERM, server.stop)\nserver.serve_forever()", EXITS),
        ("import faulthandler\nfaulthandler.register(signal.SIGTERM)" + LOOP, STAYS),
        ("import elsewhere\nelsewhere.run()", UNKNOWN),
        ("def broken(", UNKNOWN),
    ],
)  # fmt: skip
def test_python(code: str, outlook: Outlook) -> None:
    assert runs("python3", "-c", HEAD + code) is outlook


def test_python_raises_an_exception_on_sigint() -> None:
    assert runs("python3", "-c", "import time" + LOOP, "SIGINT") is EXITS
    caught = "import time\nwhile True:\n  try: time.sleep(9)\n  except KeyboardInterrupt: print('no')"
    assert runs("python3", "-c", caught, "SIGINT") is STAYS


def test_python_waits_for_threads_and_processes_at_exit() -> None:
    code = HEAD + "threading.Thread(target=work).start()\nsignal.signal(15, lambda *a: sys.exit(0))" + LOOP
    one = process(1, "python3", "-c", code, exe="/usr/bin/python3.11", caught=(TERM,), threads=2)
    assert diagnosed(one).outlook is STAYS
    done = "import threading, work\nthreading.Thread(target=work.loop).start()"
    finished = process(1, "python3", "-c", done, exe="/usr/bin/python3.11", caught=(INT,), threads=2)
    assert diagnosed(finished, signal="SIGINT").outlook is EXITS
    daemon = code.replace("target=work", "target=work, daemon=True")
    assert (
        diagnosed(process(1, "python3", "-c", daemon, exe="/usr/bin/python3", caught=(TERM,), threads=2)).outlook
        is EXITS
    )


def test_python_waits_for_tasks_of_its_executor() -> None:
    exits = "from concurrent.futures import ThreadPoolExecutor\nsignal.signal(15, lambda *a: sys.exit(0))\n"
    for task, outlook in (("time.sleep, 1000", STAYS), ("os.getpid", EXITS)):
        code = f"{HEAD}{exits}pool = ThreadPoolExecutor(2)\npool.submit({task}){LOOP}"
        assert diagnosed(process(1, "python3", "-c", code, caught=(INT, TERM), threads=2)).outlook is outlook


def test_asyncio_always_waits_for_its_executor() -> None:
    code = (
        f"{HEAD}async def main():\n    loop.add_signal_handler(15, stop.set)\n"
        "    loop.run_in_executor(None, time.sleep, 1000)\n    await stop.wait()"
    )
    assert diagnosed(process(1, "python3", "-c", code, caught=(TERM,), threads=2)).outlook is STAYS
    assert diagnosed(process(1, "python3", "-c", code.replace("1000", "1"), caught=(TERM,), threads=2)).outlook is EXITS


def test_before_python_3_13_an_interrupted_join_is_not_repeated() -> None:
    code = f"{HEAD}t = threading.Thread(target=time.sleep, args=(1000,))\nt.start()\nt.join()"
    for version, outlook in (("11", EXITS), ("13", STAYS)):
        one = process(1, "python3", "-c", code, exe=f"/usr/bin/python3.{version}", caught=(INT,), threads=2)
        assert diagnosed(one, signal="SIGINT").outlook is outlook


def test_a_blocked_signal_stays_blocked_if_the_source_never_unblocks_it() -> None:
    code = f"{HEAD}signal.signal(15, lambda *a: sys.exit(0)){LOOP}"
    assert diagnosed(process(1, "python3", "-c", code, caught=(TERM,), blocked=(TERM,))).outlook is STAYS
    code = code.replace("while", "signal.pthread_sigmask(0, [])\nwhile")
    assert diagnosed(process(1, "python3", "-c", code, caught=(TERM,), blocked=(TERM,))).outlook is EXITS


def test_a_program_that_mentions_the_signal_may_handle_it_later() -> None:
    for code, confidence in (
        ("time.sleep(9)\nsignal.signal(signal.SIGTERM, h)", "likely"),
        ("while True:\n    work()", "certain"),
    ):
        found = diagnosed(process(1, "python3", "-c", code))
        assert (found.outlook, found.confidence) == (STAYS, confidence)


def test_no_listener_of_node_runs_during_exec_sync() -> None:
    code = "process.on('SIGTERM', () => process.exit(0)); require('child_process').execSync('server')"
    one = process(1, "node", "-e", code, caught=(TERM,))
    assert diagnosed(one, process(7, "sh", "-c", "server", parent=1)).outlook is STAYS
    assert diagnosed(one, process(7, "sleep", "2", parent=1, age_s=1)).outlook is EXITS


def test_no_handler_of_python_runs_during_os_system() -> None:
    code = f"{HEAD}signal.signal(15, lambda *a: sys.exit(0))\nos.system('server')"
    one = process(1, "python3", "-c", code, caught=(TERM,))
    assert diagnosed(one, process(7, "sh", "-c", "server", parent=1)).outlook is STAYS
    assert diagnosed(one).outlook is EXITS


def test_raising_the_signal_again_terminates_all_but_pid_1() -> None:
    code = (
        HEAD
        + "def h(s, f):\n    signal.signal(s, signal.SIG_DFL)\n    os.kill(os.getpid(), s)\nsignal.signal(15, h)"
        + LOOP
    )
    assert runs("python3", "-c", code, init=False) is EXITS
    assert runs("node", "-e", "setInterval(() => {}, 1000)", init=False) is EXITS


@pytest.mark.parametrize(
    ("code", "outlook"),
    [
        ("setInterval(() => {}, 1000)", STAYS),
        ("process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000)", EXITS),
        ("process.on('SIGTERM', () => console.log('x')); setInterval(() => {}, 1000)", STAYS),
        ('process.once("SIGTERM", async () => { await db.end(); process.exit(1) })', EXITS),
        ("function stop() { console.log(1); process.exit(0) }\nprocess.on('SIGTERM', stop)", EXITS),
        ("const stop = () => { server.close() }\nprocess.on('SIGTERM', stop)", EXITS),
        ("process.on('SIGTERM', () => server.close()); setInterval(poll, 1000)", STAYS),
        ("for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit())", EXITS),
        ("['SIGINT', 'SIGTERM'].forEach(s => process.on(s, () => console.log(s))); setInterval(f, 1)", STAYS),
        ("// process.on('SIGTERM', () => process.exit(0))\nsetInterval(() => {}, 1000)", STAYS),
        ("process.on('SIGINT', () => process.exit(0)); setInterval(() => {}, 1000)", STAYS),
        ("process.on('SIGTERM', () => { throw new Error('x') }); setInterval(f, 1)", EXITS),
        ("const c = spawn('x'); process.on('SIGTERM', () => c.kill('SIGTERM'))", EXITS),
        ("const sig = 'SIGTERM'; process.on(sig, () => process.exit(0)); setInterval(f, 1)", EXITS),
    ],
)
def test_node(code: str, outlook: Outlook) -> None:
    assert runs("node", "-e", code) is outlook


@pytest.mark.parametrize(
    ("interpreter", "option", "code", "outlook"),
    [
        ("ruby", "-e", "sleep 1000", EXITS),
        ("ruby", "-e", "trap('TERM') { exit }\nsleep", EXITS),
        ("ruby", "-e", "Signal.trap(:TERM) do\n  puts 'x'\nend\nloop { sleep 1 }", STAYS),
        ("ruby", "-e", "$run = true\ntrap('SIGTERM') { $run = false }\nwhile $run do sleep 1 end", EXITS),
        ("ruby", "-e", "begin\n sleep 9\nrescue SignalException\n sleep 9\nend", UNKNOWN),
        ("perl", "-e", "$SIG{TERM} = sub { exit 0 }; sleep 1 while 1", EXITS),
        ("perl", "-e", "$SIG{TERM} = sub { print 'x' }; sleep 1 while 1", STAYS),
        ("perl", "-e", "sub h { die } $SIG{'TERM'} = \\&h; sleep 1 while 1", EXITS),
        ("perl", "-e", "my $run = 1; $SIG{TERM} = sub { $run = 0 }; while ($run) { sleep 1 }", EXITS),
        ("php", "-r", "pcntl_async_signals(true); pcntl_signal(SIGTERM, function () { exit(0); }); while (1) sleep(1);",
         EXITS),
        ("php", "-r", "pcntl_signal(SIGTERM, function () { exit(0); }); while (1) sleep(1);", STAYS),
        ("php", "-r", "while (1) { sleep(1); }", STAYS),
        ("php", "-r", "sleep(1000);", EXITS),
        ("php", "-r", "pcntl_signal(SIGTERM, function () { exit(0); }); sleep(1000);", EXITS),
        ("php", "-r", "fgets(STDIN);", STAYS),
        ("ruby", "-e", "loop do\n begin\n  sleep 1\n rescue SignalException => e\n  puts e\n end\nend", STAYS),
        ("ruby", "-e", "loop do\n begin\n  sleep 1\n rescue SignalException => e\n  exit\n end\nend", EXITS),
        ("ruby", "-e", "begin; sleep; rescue SignalException; puts 1; end", EXITS),
        ("ruby", "-e", "begin; sleep; ensure; sleep 60; end", STAYS),
        ("perl", "-e", "$SIG{TERM} = sub { die 'x' }; while (1) { eval { sleep 1000 } }", STAYS),
        ("perl", "-e", "use sigtrap 'handler' => sub { exit 0 }, 'normal-signals'; sleep 1000", EXITS),
        ("perl", "-e", "use sigtrap qw(die normal-signals); sleep 1000", EXITS),
        ("perl", "-e", "sigaction(SIGTERM, POSIX::SigAction->new(sub { exit 0 })); sleep 1000", EXITS),
        ("perl", "-e", "$SIG{$_} = sub { exit } for qw(INT TERM); sleep 1000 while 1", EXITS),
        ("perl", "-e", "$SIG{$_} = sub { print 1 } for qw(INT TERM); sleep 1000 while 1", STAYS),
        ("perl", "-e", "$SIG{INT} = $SIG{TERM} = sub { exit }; sleep 1000 while 1", EXITS),
        ("guile", "-c", "(sigaction SIGTERM (lambda (s) (exit 0))) (let l () (sleep 1) (l))", EXITS),
    ],
)  # fmt: skip
def test_other_languages(interpreter: str, option: str, code: str, outlook: Outlook) -> None:
    assert runs(interpreter, option, code) is outlook


def test_interpreters_that_read_commands_from_a_terminal() -> None:
    at_terminal = {"tty": True}
    assert diagnosed(process(1, "python3", caught=(INT,)), signal="SIGINT", details=at_terminal).outlook is STAYS
    assert diagnosed(process(1, "node", caught=(INT, TERM)), details=at_terminal).outlook is STAYS


def test_files_beside_a_script_are_analysed() -> None:
    one = process(1, "python3", "/app/main.py", exe="/usr/bin/python3.11", caught=(INT, TERM))
    files = {
        (1, "/app/main.py"): "import app\napp.run()",
        (1, "&/app/app.py"): HEAD + "signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))",
    }
    assert diagnosed(one, files=files).outlook is EXITS
    assert diagnosed(one, files={(1, "/app/main.py"): "import app"}).outlook is UNKNOWN


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error(text: str) -> None:
    python.handler((text,), TERM)
    python_tree.local_imports(text)
    for family in ("node", "ruby", "perl", "php"):
        scripting_languages.handler(family, (text,), "SIGTERM")


FRAGMENTS = st.sampled_from(
    ["process.on('SIGTERM', ", "trap('TERM') ", "$SIG{TERM} = ", "pcntl_signal(SIGTERM, ", "{", "}", "(", ")", "sub ",
     "do ", "\n", "exit", "'", "\\", "function ", "=> ", "x", "while", "pcntl_async_signals(true);"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=25).map("".join))
def test_fragments_of_handlers_are_read_without_an_error(text: str) -> None:
    for family in ("node", "ruby", "perl", "php"):
        scripting_languages.handler(family, (text,), "SIGTERM")
