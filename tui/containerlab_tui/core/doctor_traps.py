"""The traps of a shell script, and what its text says about them. Pure: the text is searched, never run.

Patterns, not a parser: enough for the forms that entry points have.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from containerlab_probes.errors import BadRequest
from containerlab_probes.signals import number_of

_TRAP = re.compile(
    r"""(?<![\w-])trap\s+(?:--\s+)?(?P<body>'[^']*'|"(?:[^"\\]|\\.)*"|-|[^\s;&|'"-][^\s;&|'"]*)"""
    r"""[ \t]+(?P<signals>[\w+]+(?:[ \t]+[\w+]+)*|"?\$\{?(?P<each>\w+)\}?"?)""",
)
_LOOP = re.compile(r"(?:^|[;&|(\n]|\bdo\b|\bthen\b)\s*(while|until|for)\b([^;\n]*)")
EXITS = re.compile(r"(?:^|[;&|{()\n]|\bthen\b|\bdo\b)\s*exit\b")
EXECS = re.compile(r"(?:^|[;&|{(]|\bthen\b|\bdo\b|\belse\b)\s*exec\s+(?![<>0-9&{])", re.MULTILINE)
WAITS = re.compile(r"(?:^|[;&|{(\n!]|\bdo\b|\bthen\b)\s*wait\b")
_KILL = re.compile(r"(?:^|[;&|{(\n]|\bthen\b|\bdo\b)\s*kill\b([^;&|\n]*)")
READS_FILES = re.compile(
    r"""(?P<before>^|[;&\n]|\bthen\b)\s*(?:\.|source)\s+["']?"""
    r"""(?P<here>\$\(dirname\s+"?\$\{?0\}?"?\)"?/|\$\{0%/\*\}/)?(?P<path>[^\s;&|"']+)["']?"""
)
"""The `.` command; `here` stands for the script's own directory."""
WAITS_FOR_EACH = re.compile(r"\bfor\b[^\n;]*[;\n]\s*do\b(?:(?!\bdone\b).)*?\bwait\b", re.DOTALL)
_ITSELF = re.compile(r"(?:^|[;&|{(\n])\s*kill\b[^;&|\n]*(?:\s0\b|\$\$)")

_STOP_COMMAND = re.compile(r"\b(pkill|killall|shutdown|stop|quit)\b")
"""Commands that end a server in another way: pkill nginx, nginx -s quit, redis-cli shutdown, service x stop."""


@dataclass(frozen=True, slots=True)
class Trap:
    """One trap of a script, functions that it calls put in."""

    body: str
    signal: str


def trap_for(text: str, signal: int) -> Trap | None:
    """The last trap that a script sets for a signal."""
    text = without_comments(text)
    found: Trap | None = None
    for each in _TRAP.finditer(text):
        body = each["body"]
        early = body.startswith('"')
        body = body[1:-1] if body[:1] in "'\"" else body
        if early and not _BACKGROUND.search(text, 0, each.start()):
            body = _NO_JOBS.sub(":", body)  # $(jobs -p) in double quotes counts the jobs when the trap is set
        words, body = _over_words(text, each, body) if each["each"] else (each["signals"].split(), body)
        for word in words:
            if _number(word) == signal:
                found = Trap(_with_functions(text, _branch(text, body)), word)
    for name, body, _ in functions(text):
        if name.startswith("TRAP") and _number(name[4:]) == signal:
            found = Trap(_with_functions(text, body), name[4:])  # man 1 zshmisc, Trap Functions
    for each in re.finditer(r"\bfn\s+sig(\w+)\s*\{([^}]*)\}", text):
        if _number(each[1].upper()) == signal:
            found = Trap(each[2], each[1])  # man 1 rc, Signals
    return None if found is None or found.body == "-" else found


_BACKGROUND = re.compile(r"(?<![&>])&(?![&>])")
_NO_JOBS = re.compile(r"\bkill\b[^;&|\n]*\$\(jobs[^)]*\)")


def _over_words(text: str, trap: re.Match[str], body: str) -> tuple[list[str], str]:
    """The signals of a trap that a loop sets, `for s in INT TERM; do trap … $s`, and what it then does.

    Also of a function that is given a function and signals: `on() { f=$1; shift; for s; do trap "$f $s" $s; done; }`.
    """
    loops = list(re.finditer(rf"\bfor\s+{trap['each']}\b(?:\s+in\s+([^;\n]*))?", text[: trap.start()]))
    if loops and loops[-1][1] and "$" not in loops[-1][1]:
        return loops[-1][1].split(), body
    for name, _, (start, end) in functions(text):
        if start <= trap.start() < end:
            for call in re.finditer(rf"(?:^|[;&|{{\n])\s*{re.escape(name)}\s+([^;&|\n]+)", text):
                first, *rest = call[1].split()
                return [first, *rest], body if not body.startswith("$") else first.strip("'\"")
    return [], body


def errexit(text: str, argv: tuple[str, ...]) -> bool:
    """Whether the script ends with the first command that fails (set -e)."""
    flags = any(re.fullmatch(r"-[a-zA-Z]*e[a-zA-Z]*", word) for word in argv[1:3])
    return flags or bool(re.search(r"\bset\s+(?:-[a-zA-Z]*e|-o\s+errexit)|^#!.*\s-[a-zA-Z]*e", text))


def subshell_part(text: str, signal: int) -> str:
    """What stands in the parentheses that set a trap for a signal; empty: none do."""
    for found in re.finditer(r"(?<![\w$)])\((?=[^()]*\btrap\b)", text):
        depth, index = 1, found.end()
        while index < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[index], 0)
            index += 1
        inner = text[found.end() : index - 1]
        if any(_number(word) == signal for each in _TRAP.finditer(inner) for word in each["signals"].split()):
            return inner
    return ""


def job_control(text: str) -> bool:
    """Whether the script switches job control on (set -m)."""
    return bool(re.search(r"\bset\s+(?:-[a-zA-Z]*m\b|-o\s+monitor)", text))


def never_ends(body: str) -> bool:
    """Whether a trap has a loop that tests nothing and doesn't leave it."""
    endless = re.search(
        r"\b(?:while|until)\s+(?::|true|false|\[\s*1\s*\])\s*(?:;|\n)\s*do\b(.*?)\bdone\b", body, re.DOTALL
    )
    return bool(endless) and not re.search(r"\b(?:break|exit|return)\b", endless[1] if endless else "")


def rest_after(text: str, argv: tuple[str, ...]) -> str | None:
    """What the main part of a script has after a command; None where the command isn't found in it."""
    found = re.search(r"\s+".join(map(re.escape, argv)) + r"(?![\w.])[^;&|\n]*", main_part(text)) if argv else None
    return main_part(text)[found.end() :] if found else None


def does_nothing(rest: str) -> bool:
    """Whether commands end at once: `true`, `echo`, `exit` and the like."""
    commands = [one.strip() for one in re.split(r"[;\n]|&&|\|\|", rest)]
    return all(not one or re.match(r"(?:true|false|:|echo|printf|exit|return|fi)\b|:", one) for one in commands)


def runs_on(rest: str) -> bool:
    """Whether commands begin something that doesn't end by itself."""
    return bool(re.search(r"\bsleep\s+(?:\d{3,}|\d+[hd]|inf)|\btail\s+-[fF]|\bserve", rest))


def file_read(found: re.Match[str], here: str) -> str:
    """The path that a `.` command names; `here`: the directory of the script, for one that names it by that."""
    return posixpath.normpath(posixpath.join(here, found["path"])) if found["here"] else found["path"]


def files_read(text: str, here: str) -> tuple[str, ...]:
    """The files that a script reads by `.`, as far as their paths are written out."""
    found = (file_read(one, here) for one in READS_FILES.finditer(without_comments(text)))
    return tuple(dict.fromkeys(one for one in found if "$" not in one and "`" not in one))


def resets(text: str, signal: int) -> bool:
    """Whether the last word of a script on a signal is `trap -`, outside of functions."""
    last = ""
    for each in _TRAP.finditer(main_part(text, traps=True)):
        if any(_number(word) == signal for word in each["signals"].split()):
            last = each["body"]
    return last == "-"


def signals_itself(trap: Trap) -> bool:
    """Whether a trap signals its own shell, or its process group, while it is still set."""
    sent = _ITSELF.search(trap.body)
    taken_back = re.search(r"\btrap\s+(?:-|''|\"\")", trap.body)
    return bool(sent) and not (taken_back and sent and taken_back.start() < sent.start())


def without_comments(text: str) -> str:
    return re.sub(r"(?m)(^|\s)#[^\n]*", r"\1", text)


def _number(word: str) -> int | None:
    if word in ("EXIT", "0", "ERR", "DEBUG", "RETURN", "ZERR"):
        return 0
    try:
        return number_of(word)
    except BadRequest:
        return None


def functions(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Names, bodies and places of the functions of a script."""
    for found in re.finditer(r"(?:\bfunction\s+([\w-]+)\s*(?:\(\s*\))?|\b([\w-]+)\s*\(\s*\))\s*([{(])", text):
        depth, index = 1, found.end()
        opening, closing = found[3], {"{": "}", "(": ")"}[found[3]]
        while index < len(text) and depth:
            if text[index] == opening and text[index - 1] != "$":
                depth += 1
            elif text[index] == closing and not (opening == "{" and _in_expansion(text, index)):
                depth -= 1
            index += 1
        yield found[1] or found[2], text[found.end() : index - 1], (found.start(), index)


def _branch(text: str, body: str) -> str:
    """Of a trap that calls a function with one word, on which the function branches: that branch."""
    words = body.split()
    if len(words) == 2:
        for name, inner, _ in functions(text):
            cases = re.search(r"\bcase\s+\"?\$\{?1\}?\"?\s+in\b(.*)\besac\b", inner, re.DOTALL)
            if name == words[0] and cases:
                arms = re.findall(r"\(?([^()\n;]+)\)(.*?)(?:;;|$)", cases[1], re.DOTALL)
                fits = [arm for label, arm in arms if words[1] in [one.strip(" \"'") for one in label.split("|")]]
                return fits[0] if fits else ":"
    return body


def _in_expansion(text: str, index: int) -> bool:
    """A closing brace that ends `${NAME…}`."""
    return text.rfind("${", 0, index) > max(text.rfind("}", 0, index), text.rfind("\n", 0, index))


def _with_functions(text: str, body: str, depth: int = 3) -> str:
    if not depth:
        return body
    for name, inner, _ in functions(text):
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", body):
            body = f"{body}\n{_with_functions(text, inner, depth - 1)}"
    return body


def main_part(text: str, traps: bool = False) -> str:
    """A script without its functions, and without its traps unless `traps`: what it does in order."""
    text = without_comments(text)
    for *_, (start, end) in reversed(list(functions(text))):
        text = text[:start] + text[end:]
    return text if traps else _TRAP.sub("", text)


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of a script that has no end of its own."""

    condition: str
    body: str


def waiting_loop(main: str, commands: tuple[str, ...]) -> Loop | None:
    """The loop in which a script waits: one with `wait`, `sleep`, `read` or one of these commands in its body."""
    for found in _LOOP.finditer(main):
        if found[1] == "for" and not found[2].lstrip().startswith("(("):
            continue
        opening = re.compile(r"\bdo\b").search(main, found.end(1))
        body = _until_done(main, opening.end()) if opening else main[found.end() :]
        words = ("wait", "sleep", "read", *(re.escape(one) for one in commands if one))
        if re.search(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])", body):
            return Loop(main[found.end(1) : opening.start() if opening else found.end()], body)
    return None


def _until_done(text: str, start: int) -> str:
    depth = 1
    for found in re.finditer(r"(?<![\w-])(do|done)(?![\w-])", text[start:]):
        depth += 1 if found[1] == "do" else -1
        if not depth:
            return text[start : start + found.start()]
    return text[start:]


def passes_on(body: str) -> int | None:
    """The signal that a trap sends to the script's children; None: it sends none."""
    found = _KILL.search(body)
    if found is None:
        return number_of("SIGTERM") if _STOP_COMMAND.search(body) else None
    words = found[1].split()
    if words and words[-1].strip("\"'") in ("$$", "${$}") and not any(one.startswith("-$") for one in words):
        return None  # only itself
    for index, word in enumerate(words):
        if word in ("-s", "-n") and index + 1 < len(words):
            return _number(words[index + 1])
        if re.fullmatch(r"-[A-Za-z0-9+]+", word):
            return _number(word[1:]) or None
    return number_of("SIGTERM") if words else None


def sleeps(body: str) -> float:
    return sum(float(one) for one in re.findall(r"\bsleep\s+(\d+(?:\.\d+)?)\b", body))
