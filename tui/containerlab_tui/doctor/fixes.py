"""Lines that mend a finding, ready to be pasted: for a Dockerfile, for docker run, for a compose file. Pure.

A line that begins with `#` is a word to the reader. `Dockerfile: `, `compose: ` and the like say where a line belongs.
"""

import json
import posixpath
import re
import shlex

from containerlab_probes.records import Process


def init() -> str:
    """An init in front, or a handler."""
    return (
        "docker run --init …\n"
        "compose: init: true\n"
        'Dockerfile: ENTRYPOINT ["tini", "--"]\n'
        "# or install a handler for the signal in the program"
    )


def reaping(by_init: bool) -> str:
    """Who waits for ended children: an init does for orphans, which fall to PID 1; a parent must for its own."""
    own = "# In the program that began them: wait for each child (waitpid)."
    return f"# For orphans:\ndocker run --init …\ncompose: init: true\n{own}" if by_init else own


def stop_signal(name: str) -> str:
    return f"Dockerfile: STOPSIGNAL {name}\ndocker run --stop-signal={name} …\ncompose: stop_signal: {name}"


def handling(signal: str, other: str | None) -> str:
    """The program has to end itself on the signal; `other` is one on which it does."""
    lines = f"# Let the program handle {signal} and end"
    return f"{lines}, or stop it with a signal on which it does:\n{stop_signal(other)}" if other else f"{lines}."


def unblock(signal: str) -> str:
    return f"# Unblock {signal}, or wait for it (sigwait, signalfd) in one thread.\n{init()}"


def grace(seconds: int) -> str:
    return f"docker run --stop-timeout={seconds} …\ncompose: stop_grace_period: {seconds}s"


def exec_form(child: Process, script: str = "") -> str:
    """The program as PID 1 itself; `script` is the text of the shell that began it."""
    words = _words(child, script)
    return f"Dockerfile: CMD {json.dumps(words, ensure_ascii=False)}\nin a script: exec {shlex.join(words)}"


def trap(child: Process, signal: str, script: str = "") -> str:
    """The form of a trap that runs at once."""
    return (
        f"{shlex.join(_words(child, script))} &\n"
        "child=$!\n"
        f"trap 'kill -{signal.removeprefix('SIG')} \"$child\"' {signal.removeprefix('SIG')}\n"
        'wait "$child"; wait "$child"'
    )


_LINE_LIMIT = 4096
"""Characters of a line that is taken apart."""


def _words(child: Process, script: str) -> list[str]:
    """The command line that began a process: its own, or where it wrote a title over that, the script's words."""
    titled = (len(child.argv) == 1 and " " in child.argv[0]) or (bool(child.argv) and child.argv[0].endswith(":"))
    if child.argv and not titled:
        return list(child.argv)
    program = posixpath.basename(child.exe) or child.name
    for found in re.finditer(rf"(?<![\w./-])(?:[\w./-]*/)?{re.escape(program)}(?![\w-])[^\n]*", script):
        words = _simple_command(found[0]) if len(found[0]) <= _LINE_LIMIT else []
        if words:
            return words
    return [child.exe or child.name]


def _simple_command(text: str) -> list[str]:
    """The words of a command up to what ends it (`;`, `&`, `|`, a redirection); empty where it can't be parsed."""
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
    return "uwsgi --die-on-term …, or in its configuration: die-on-term = true\n"
