"""Fixes that can be pasted: lines for a Dockerfile, for docker run, for a compose file.

A line that begins with `#` is a comment for the reader. `Dockerfile: `, `compose: ` and similar prefixes say where a
line belongs.
"""

import json
import posixpath
import re
import shlex
import sys

from containerlab_probes.records import Process
from containerlab_tui.present.safe_text import safe_line


def init() -> str:
    """Adds an init as PID 1, or a handler."""
    return (
        "docker run --init …\n"
        "compose: init: true\n"
        'Dockerfile: ENTRYPOINT ["tini", "--"]\n'
        "# or install a handler for the signal in the program"
    )


def reaping(by_init: bool) -> str:
    """Makes something reap zombies: an init reaps orphans; a parent must reap its own children."""
    own = "# In the program that started them: wait for each child (waitpid)."
    return f"# For orphans:\ndocker run --init …\ncompose: init: true\n{own}" if by_init else own


def stop_signal(name: str) -> str:
    """Sets another stop signal."""
    return f"Dockerfile: STOPSIGNAL {name}\ndocker run --stop-signal={name} …\ncompose: stop_signal: {name}"


def handling(signal: str, other: str | None) -> str:
    """Makes the program exit on the signal; `other` is a signal that it exits on already."""
    lines = f"# Make the {signal} handler exit the program"
    return f"{lines}, or use a stop signal that already does:\n{stop_signal(other)}" if other else f"{lines}."


def unblock(signal: str) -> str:
    """Makes the program accept a signal that it blocks."""
    return f"# Unblock {signal}, or wait for it (sigwait, signalfd) in one thread.\n{init()}"


def grace(seconds: int) -> str:
    """Sets another grace period."""
    return f"docker run --stop-timeout={seconds} …\ncompose: stop_grace_period: {seconds}s"


def exec_form(child: Process, script: str = "") -> str:
    """Makes the program PID 1; `script` is the text of the shell that started it.

    A word with line breaks or control characters could look like another line, so only JSON in ASCII has it.
    """
    words = _words(child, script)
    if _safe(words) != words:
        return f"Dockerfile: CMD {json.dumps(words)}"
    return f"Dockerfile: CMD {json.dumps(words, ensure_ascii=False)}\nin a script: exec {shlex.join(words)}"


def trap(child: Process, signal: str, script: str = "") -> str:
    """Returns a form of the trap that runs at once."""
    return (
        f"{shlex.join(_safe(_words(child, script)))} &\n"
        "child=$!\n"
        f"trap 'kill -{signal.removeprefix('SIG')} \"$child\"' {signal.removeprefix('SIG')}\n"
        'wait "$child"; wait "$child"'
    )


_LINE_LIMIT = 4096
"""Characters of a line that is parsed."""


def _words(child: Process, script: str) -> list[str]:
    """Returns the command line of a process; from the script if the process has overwritten it with a title."""
    titled = (len(child.argv) == 1 and " " in child.argv[0]) or (bool(child.argv) and child.argv[0].endswith(":"))
    if child.argv and not titled:
        return list(child.argv)
    program = posixpath.basename(child.exe) or child.name
    for found in re.finditer(rf"(?<![\w./-])(?:[\w./-]*/)?{re.escape(program)}(?![\w-])[^\n]*", script):
        words = _simple_command(found[0]) if len(found[0]) <= _LINE_LIMIT else []
        if words:
            return words
    return [child.exe or child.name]


def _safe(words: list[str]) -> list[str]:
    return [safe_line(word, sys.maxsize) for word in words]


def _simple_command(text: str) -> list[str]:
    """Returns the words of a command up to `;`, `&`, `|` or a redirection; empty if it can't be parsed."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set(";&|<>()"):
                break
            words.append(word)
    except ValueError:
        return []
    return words


def uwsgi() -> str:
    """Makes uWSGI exit on SIGTERM."""
    return "uwsgi --die-on-term …, or in its configuration: die-on-term = true\n"
