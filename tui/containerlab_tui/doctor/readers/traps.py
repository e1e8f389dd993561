"""Finds the traps of a shell script. The text is searched, never run.

Patterns, not a parser: they cover the usual forms of entry points. The texts come from `bounds.bounded`; each pattern
takes linear time, and brackets and loops are matched in one pass.
"""

import itertools
import posixpath
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

from containerlab_probes.errors import BadRequest
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.doctor.bounds import SHELL_LIMIT, WORDS_LIMIT, seconds, tidy

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
_FOR_EACH = re.compile(r"(?P<opens>\bfor\b[^\n;]{0,500}[;\n]\s*do\b)|\bdone\b|(?P<waits>\bwait\b)")
_ITSELF = re.compile(r"(?:^|[;&|{(\n])\s*kill\b[^;&|\n]{0,300}(?:\s0\b|\$\$)")

_STOP_COMMAND = re.compile(r"\b(pkill|killall|shutdown|stop|quit)\b")
"""Other commands that stop a server: pkill nginx, nginx -s quit, redis-cli shutdown, service x stop."""


@dataclass(frozen=True, slots=True)
class Trap:
    """One trap of a script, including the functions that it calls."""

    body: str
    signal: str


@lru_cache(maxsize=64)
def trap_for(text: str, signal: int) -> Trap | None:
    """Returns the last trap that a script sets for a signal, or None."""
    text = without_comments(text)
    found = _by_trap(text, signal)
    for name, body, _ in functions(text):
        if name.startswith("TRAP") and _number(name[4:]) == signal:
            found = Trap(_with_functions(text, body), name[4:])  # man 1 zshmisc, Trap Functions
    for each in re.finditer(r"\bfn\s+sig(\w{1,12})\s*\{([^}]{0,2000})\}", text):
        if _number(each[1].upper()) == signal:
            found = Trap(each[2], each[1])  # man 1 rc, Signals
    return None if found is None or found.body == "-" else found


_LOOPED = 20
"""Traps on a variable whose values are searched for."""


def _by_trap(text: str, signal: int) -> Trap | None:
    background, looped = _BACKGROUND.search(text), 0
    for each in reversed(list(_TRAP.finditer(text))):
        body = each["body"]
        early = body.startswith('"')
        body = body[1:-1] if body[:1] in "'\"" else body
        if early and not (background and background.start() < each.start()):
            body = _NO_JOBS.sub(":", body)  # $(jobs -p) in double quotes counts the jobs when the trap is set
        words = each["signals"].split()
        if each["each"]:
            looped += 1
            words, body = _over_words(text, each, body) if looped <= _LOOPED else ([], body)
        word = next((one for one in reversed(words) if _number(one) == signal), None)
        if word is not None:
            return Trap(_with_functions(text, _branch(text, body)), word)
    return None


_BACKGROUND = re.compile(r"(?<![&>])&(?![&>])")
_NO_JOBS = re.compile(r"\bkill\b[^;&|\n]{0,300}\$\(jobs[^)]{0,300}\)")


def _over_words(text: str, trap: re.Match[str], body: str) -> tuple[list[str], str]:
    """Returns the signals and the body of a trap that a loop sets: `for s in INT TERM; do trap … $s`.

    Also handles a function with a function and signals as arguments:
    `on() { f=$1; shift; for s; do trap "$f $s" $s; done; }`.
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
    """Returns whether the script exits after the first command that fails (set -e)."""
    flags = any(word[:1] == "-" and word[1:].isalpha() and word.isascii() and "e" in word for word in argv[1:3])
    return flags or bool(re.search(r"\bset\s+(?:-[a-zA-Z]*e|-o\s+errexit)|^#!.*\s-[a-zA-Z]*e", text))


_SUBSHELLS = 20
"""Subshells with their own trap that are analysed."""


def subshell_part(text: str, signal: int) -> str:
    """Returns the content of the parentheses that set a trap for a signal; empty if there are none."""
    for found in itertools.islice(re.finditer(r"(?<![\w$)])\((?=[^()]*\btrap\b)", text), _SUBSHELLS):
        depth, index = 1, found.end()
        while index < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[index], 0)
            index += 1
        inner = text[found.end() : index - 1]
        if any(_number(word) == signal for each in _TRAP.finditer(inner) for word in each["signals"].split()):
            return inner
    return ""


def job_control(text: str) -> bool:
    """Returns whether the script enables job control (set -m)."""
    return bool(re.search(r"\bset\s+(?:-[a-zA-Z]*m\b|-o\s+monitor)", text))


def never_ends(body: str) -> bool:
    """Returns whether a trap has an endless loop."""
    opens = re.search(r"\b(?:while|until)\s+(?::|true|false|\[\s*1\s*\])\s*[;\n]\s*do\b", body)
    ends = re.compile(r"\bdone\b").search(body, opens.end()) if opens else None
    if opens is None or ends is None:
        return False
    return not re.search(r"\b(?:break|exit|return)\b", body[opens.end() : ends.start()])


def words_pattern(argv: tuple[str, ...]) -> str:
    """Returns a pattern for a command in a script; empty if there is no command or it is too long."""
    if not argv or sum(len(word) + 1 for word in argv) > WORDS_LIMIT:
        return ""
    return r"\s+".join(re.escape(word) for word in argv)


def rest_after(text: str, argv: tuple[str, ...]) -> str | None:
    """Returns the main part of a script after a command; None if the command isn't found."""
    words = words_pattern(argv)
    found = re.search(words + r"(?![\w.])[^;&|\n]*", main_part(text)) if words else None
    return main_part(text)[found.end() :] if found else None


def does_nothing(rest: str) -> bool:
    """Returns whether commands finish at once: `true`, `echo`, `exit` and similar ones."""
    commands = [one.strip() for one in re.split(r"[;\n]|&&|\|\|", rest)]
    return all(not one or re.match(r"(?:true|false|:|echo|printf|exit|return|fi)\b|:", one) for one in commands)


def runs_on(rest: str) -> bool:
    """Returns whether commands start something that doesn't exit on its own."""
    return bool(re.search(r"\bsleep\s+(?:\d{3,}|\d+[hd]|inf)|\btail\s+-[fF]|\bserve", rest))


def file_read(found: re.Match[str], here: str) -> str:
    """Returns the path of a `.` command; `here`: the script's directory, for a path relative to it."""
    return posixpath.normpath(posixpath.join(here, found["path"])) if found["here"] else found["path"]


def files_read(text: str, here: str) -> tuple[str, ...]:
    """Returns the files that a script sources with `.`, if their paths are literal."""
    found = (file_read(one, here) for one in READS_FILES.finditer(without_comments(text)))
    return tuple(dict.fromkeys(one for one in found if "$" not in one and "`" not in one))


def resets(text: str, signal: int) -> bool:
    """Returns whether a script finally resets a signal with `trap -`, outside of functions."""
    last = ""
    for each in _TRAP.finditer(main_part(text, traps=True)):
        if any(_number(word) == signal for word in each["signals"].split()):
            last = each["body"]
    return last == "-"


def signals_itself(trap: Trap) -> bool:
    """Returns whether a trap signals its own shell or process group while the trap is still set."""
    sent = _ITSELF.search(trap.body)
    taken_back = re.search(r"\btrap\s+(?:-|''|\"\")", trap.body)
    return bool(sent) and not (taken_back and sent and taken_back.start() < sent.start())


@lru_cache(maxsize=32)
def without_comments(text: str) -> str:
    """Removes the comments of a script and shortens its runs of blanks."""
    return tidy(re.sub(r"(?m)(^|\s)#[^\n]*", r"\1", text))


_SIGNALS = frozenset(
    ("IOT", "CLD", "POLL", *(name_of(number).removeprefix("SIG") for number in range(1, 32))),
)
_NUMBERED = re.compile(r"[0-9]{1,2}|RTM(?:IN|AX)(?:[+-][0-9]{1,2})?")


def _number(word: str) -> int | None:
    """Works as number_of but rejects other words faster; returns 0 for shell conditions such as EXIT."""
    if word in ("EXIT", "0", "ERR", "DEBUG", "RETURN", "ZERR"):
        return 0
    short = word[:12].upper().removeprefix("SIG")
    if short not in _SIGNALS and not _NUMBERED.fullmatch(short):
        return None
    try:
        return number_of(word)
    except BadRequest:
        return None


_FUNCTION = re.compile(r"(?:\bfunction\s+([\w-]{1,100})\s*(?:\(\s*\))?|(?<![\w-])([\w-]{1,100})\s*\(\s*\))\s*([{(])")
_FUNCTIONS = 200
"""Functions of one script that are analysed."""


@lru_cache(maxsize=32)
def functions(text: str) -> tuple[tuple[str, str, tuple[int, int]], ...]:
    """Returns names, bodies and positions of a script's functions."""
    ends = _closings(text)
    made = []
    for found in itertools.islice(_FUNCTION.finditer(text), _FUNCTIONS):
        index = ends.get(found.start(3), len(text) - 1) + 1
        made.append((found[1] or found[2], text[found.end() : index - 1], (found.start(), index)))
    return tuple(made)


def _closings(text: str) -> dict[int, int]:
    """Finds the closing position of each bracket and brace; those of `${NAME}` belong to no function."""
    ends: dict[int, int] = {}
    open_at: dict[str, list[int]] = {"{": [], "(": []}
    expansion, other = -1, -1
    for found in re.finditer(r"\$\{|[{}()\n]", text):
        index, what = found.start(), found[0]
        if what == "${":
            expansion = index
        elif what in open_at:
            if text[index - 1 : index] != "$":
                open_at[what].append(index)
        elif what == ")" or (what == "}" and expansion <= other):
            waiting = open_at["(" if what == ")" else "{"]
            if waiting:
                ends[waiting.pop()] = index
        if what in "}\n":
            other = index
    return ends


def _branch(text: str, body: str) -> str:
    """Returns the branch that runs if a trap calls a function with one word that the function branches on."""
    words = body.split()
    if len(words) == 2:
        for inner in (inner for name, inner, _ in functions(text) if name == words[0]):
            opens = re.search(r"\bcase\s+\"?\$\{?1\}?\"?\s+in\b", inner)
            closes = [one.start() for one in re.finditer(r"\besac\b", inner)][-1:]
            if opens and closes and closes[0] >= opens.end():
                cases = inner[opens.end() : closes[0]]
                arms = re.findall(r"\(?([^()\n;]{1,200})\)(.*?)(?:;;|$)", cases, re.DOTALL)
                fits = [arm for label, arm in arms if words[1] in [one.strip(" \"'") for one in label.split("|")]]
                return fits[0] if fits else ":"
    return body


_CALLS = 300
"""Calls of functions that are followed."""


def _with_functions(text: str, body: str) -> str:
    """Appends to a trap the functions that it calls, directly or indirectly."""
    left = _CALLS

    def put_in(body: str, depth: int) -> str:
        nonlocal left
        for name, inner, _ in functions(text) if depth else ():
            if name in body and left > 0 and len(body) < SHELL_LIMIT:
                left -= 1
                if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", body):
                    body = f"{body}\n{put_in(inner, depth - 1)}"
        return body

    return put_in(body, 3)


@lru_cache(maxsize=32)
def main_part(text: str, traps: bool = False) -> str:
    """Returns a script without its functions and, unless `traps`, without its traps."""
    text = without_comments(text)
    for *_, (start, end) in reversed(functions(text)):
        text = text[:start] + text[end:]
    return tidy(text if traps else _TRAP.sub("", text))


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of a script that only ends by its condition or a break."""

    condition: str
    body: str


_WAITED_FOR = 20
"""Commands that are searched for in loops."""


@lru_cache(maxsize=32)
def waiting_loop(main: str, commands: tuple[str, ...]) -> Loop | None:
    """Returns the loop that a script waits in: its body has `wait`, `sleep`, `read` or one of these commands."""
    bodies = _loop_bodies(main)
    opens = sorted(bodies)
    names = ("wait", "sleep", "read", *(re.escape(one) for one in dict.fromkeys(commands[:_WAITED_FOR]) if one))
    waits = [one.start() for one in re.finditer(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-])", main)]
    for found in _LOOP.finditer(main):
        if found[1] == "for" and not found[2].lstrip().startswith("(("):
            continue
        place = bisect_left(opens, found.end(1))
        opening = opens[place] if place < len(opens) else None
        start, end = (found.end(), len(main)) if opening is None else bodies[opening]
        inside = bisect_left(waits, start)
        if inside < len(waits) and waits[inside] < end:
            return Loop(main[found.end(1) : found.end() if opening is None else opening], main[start:end])
    return None


def _loop_bodies(text: str) -> dict[int, tuple[int, int]]:
    """Returns the position of each loop's body, by the position of its `do`."""
    bodies: dict[int, tuple[int, int]] = {}
    waiting: list[re.Match[str]] = []
    for found in re.finditer(r"(?<![\w-])(?:do|done)(?![\w-])", text):
        if found[0] == "do":
            waiting.append(found)
            bodies[found.start()] = found.end(), len(text)
        elif waiting:
            opening = waiting.pop()
            bodies[opening.start()] = opening.end(), found.start()
    return bodies


def waits_for_each(main: str) -> bool:
    """Returns whether a script has a `for` loop with a `wait` in it."""
    inside = False
    for found in _FOR_EACH.finditer(main):
        if inside and found["waits"]:
            return True
        inside = bool(found["opens"])
    return False


def passes_on(body: str) -> int | None:
    """Returns the signal that a trap sends to the script's children, or None."""
    found = _KILL.search(body)
    if found is None:
        return number_of("SIGTERM") if _STOP_COMMAND.search(body) else None
    words = found[1].split()
    if words and words[-1].strip("\"'") in ("$$", "${$}") and not any(one.startswith("-$") for one in words):
        return None  # only the shell itself
    for index, word in enumerate(words):
        if word in ("-s", "-n") and index + 1 < len(words):
            return _number(words[index + 1])
        if re.fullmatch(r"-[A-Za-z0-9+]+", word):
            return _number(word[1:]) or None
    return number_of("SIGTERM") if words else None


def sleeps(body: str) -> float:
    """Returns the sum of a trap's sleeps in seconds."""
    return sum(seconds(one) for one in re.findall(r"\bsleep\s+(\d+(?:\.\d+)?)\b", body))
