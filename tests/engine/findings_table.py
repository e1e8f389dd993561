"""For each finding of the doctor: a real container that has it, and some that only look like it or have the fix."""

from dataclasses import dataclass, field

from tests.engine.forms_of_programs import BLOCKS, RUN_UWSGI, WAITS_IN_THREAD
from tests.engine.started import Started

SERVERS = "containerlab/servers:latest"
BASE = "containerlab/base:latest"
INIT = ("--init",)


@dataclass(frozen=True, slots=True)
class Box(Started):
    """One container, and when it has started."""

    image: str
    """Of the lab, or with a tag."""
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    grace_s: int = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """A finding, the container that has it and those that do not."""

    code: str
    has: Box
    without: tuple[Box, ...]
    killed: bool | None = True
    """Whether a stop of `has` ends in SIGKILL and those of `without` exit on their own; None: see `unstopped`."""
    unstopped: str = ""
    """Why these aren't stopped."""
    better: str = field(default="")
    """A field of the diagnosis that is `no` with the finding and `yes` without it, where both end in time."""


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _python(code: str) -> tuple[str, ...]:
    return ("python3", "-c", code)


def _supervised(
    *sections: str, nodaemon: str = "true", then: str = "exec supervisord -c /tmp/s.conf"
) -> tuple[str, ...]:
    text = "\\n".join(("[supervisord]", f"nodaemon={nodaemon}", *sections))
    return _sh(f"printf '{text}\\n' > /tmp/s.conf; {then}")


PLAIN = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)"
SHELL_FORM = ("python3", "shell_form.py")
TRAP = "trap 'exit 0' TERM; echo up; "
SLOW_TRAP = "trap 'sleep 3; exit 0' TERM; echo up; "
NGINX = ("nginx", "-g", "daemon off;")
LISTENS = "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000); console.log('up')"
STUBBORN = ("[program:stubborn]", 'command=sh -c "trap : TERM; while :; do sleep 1; done"')
SUPERVISED_NGINX = ("[program:nginx]", 'command=nginx -g "daemon off;"', "stopwaitsecs=2")
ORPHAN = (
    "import subprocess, time\nsubprocess.run(['sh', '-c', 'sleep 0.1 &'])\nprint('up', flush=True)\ntime.sleep(1000)"
)
OTHER_PLACE = (
    "cp /usr/bin/perl /srv/app; "
    "exec /srv/app -e '$SIG{TERM} = sub { exit 0 }; $| = 1; print qq(up\\n); sleep 9 while 1'"
)

PAIRS: tuple[Pair, ...] = (
    Pair("signal-dropped", Box("scratch-static"),
         (Box("scratch-static", options=INIT),
          Box("dockerapp1", _python(PLAIN), ("--stop-signal=INT",), says="up"),
          Box("dockerapp1", says="pid = 1"))),
    Pair("signal-ignored", Box("shell-form", ("bash",), ("-t", "-i"), handles="SIGWINCH"),
         (Box("shell-form", ("bash",), ("-t", "-i", "--stop-signal=HUP"), handles="SIGWINCH"),
          Box("shell-form", ("bash", "-c", "exec python3 shell_form.py"), ("-t", "-i"), says="waiting for signals"))),
    Pair("signal-blocked", Box(BASE, _python(BLOCKS), says="ready"),
         (Box(BASE, _python(WAITS_IN_THREAD), says="ready"),)),
    Pair("shell-in-front", Box("shell-form", says="waiting for signals"),
         (Box("shell-form", SHELL_FORM, says="waiting for signals"),
          Box("shell-form", _sh("true; exec python3 shell_form.py"), says="waiting for signals"))),
    Pair("trap-deferred", Box(BASE, _sh(f"{TRAP} sleep 1000; true"), runs="sleep"),
         (Box(BASE, _sh(f"{TRAP} sleep 1000 & wait"), runs="sleep"),)),
    Pair("trap-waits", Box(BASE, _sh(f"{TRAP} sleep 1000 & wait"), runs="sleep"),
         (Box(BASE, _sh(f"{TRAP} sleep 1000; true"), runs="sleep"),), None, "all is well with it; trap-deferred is"),
    Pair("other-graceful-signal", Box(SERVERS, NGINX, runs="nginx: worker"),
         (Box(SERVERS, NGINX, ("--stop-signal=QUIT",), runs="nginx: worker"),), False, better="graceful"),
    Pair("reloads-instead", Box(SERVERS, _sh(f"{RUN_UWSGI} --master"), says="spawned uWSGI"),
         (Box(SERVERS, _sh(f"{RUN_UWSGI} --master --die-on-term"), grace_s=6, says="spawned uWSGI"),
          Box(SERVERS, _sh(f"{RUN_UWSGI} --master"), ("--stop-signal=INT",), grace_s=6, says="spawned uWSGI"))),
    Pair("raises-again", Box(SERVERS, ("node", "-e", "setInterval(() => {}, 1000); console.log('up')"), says="up"),
         (Box(SERVERS, ("node", "-e", LISTENS), says="up"),
          Box(SERVERS, ("node", "-e", "setInterval(() => {}, 1000); console.log('up')"), INIT, says="up"))),
    Pair("does-not-end", Box("dockerapp2", says="pid = 1"), (Box("dockerapp1", says="pid = 1"),)),
    Pair("cuts-off", Box(SERVERS, ("memcached", "-u", "nobody"), grace_s=4, handles="SIGTERM"),
         (Box(SERVERS, ("memcached", "-u", "nobody"), ("--stop-signal=USR1",), grace_s=4, handles="SIGTERM"),), False),
    Pair("handler-unknown", Box(BASE, _sh(OTHER_PLACE), says="up"), (Box("dockerapp1", says="pid = 1"),), False),
    Pair("supervisor-nodaemon",
         Box("supervisor-v1", _sh("supervisord -c /etc/supervisord.conf; sleep 1000; true"), runs="sleep"),
         (Box("supervisor-v2", says="brother entered RUNNING", grace_s=8),
          Box("supervisor-v1", ("supervisord", "-n", "-c", "/etc/supervisord.conf"), says="brother entered RUNNING",
              grace_s=8))),
    Pair("supervisor-wait", Box("supervisor-v2", _supervised(*STUBBORN), says="entered RUNNING"),
         (Box("supervisor-v2", _supervised(*STUBBORN, "stopwaitsecs=1"), says="entered RUNNING", grace_s=6),)),
    Pair("supervisor-stopsignal",
         Box(SERVERS, _supervised(*SUPERVISED_NGINX), says="entered RUNNING", grace_s=6),
         (Box(SERVERS, _supervised(*SUPERVISED_NGINX, "stopsignal=QUIT"), says="entered RUNNING", grace_s=6),), False),
    Pair("children-killed", Box("dockerapp3", says="i am in child process"),
         (Box(SERVERS, NGINX, runs="nginx: worker"),), False),
    Pair("zombies", Box(BASE, _python(ORPHAN), says="up"), (Box(BASE, _python(ORPHAN), INIT, says="up"),)),
    Pair("grace-too-short", Box(BASE, _sh(f"{SLOW_TRAP} sleep 1000 & wait"), says="up"),
         (Box(BASE, _sh(f"{SLOW_TRAP} sleep 1000 & wait"), grace_s=8, says="up"),)),
    Pair("grace-zero", Box(BASE, _sh(f"{SLOW_TRAP} sleep 1000 & wait"), grace_s=0, says="up"),
         (Box(BASE, _sh(f"{SLOW_TRAP} sleep 1000 & wait"), grace_s=8, says="up"),)),
    Pair("grace-endless", Box("dockerapp2", grace_s=-1, says="pid = 1"),
         (Box("dockerapp1", grace_s=-1, says="pid = 1"),), None, "a stop of the one would never end"),
    Pair("stop-signal-kill", Box("dockerapp1", (), ("--stop-signal=KILL",), says="pid = 1"),
         (Box("dockerapp1", says="pid = 1"),)),
    Pair("init-forwards", Box("init-wrapped", says="no handlers here"),
         (Box("init-wrapped", ("bash", "-c", f"exec -a tini python3 -c '{PLAIN}'".replace("'up'", '"up"')),
              ("--entrypoint=",), says="up"),), None, "all is well with it"),
    Pair("init-not-first",
         Box("init-wrapped", _sh("tini -- python3 plain.py; true"), ("--entrypoint=",), says="no handlers here"),
         (Box("init-wrapped", _sh("exec tini -- python3 plain.py"), ("--entrypoint=",), says="no handlers here"),)),
)  # fmt: skip
