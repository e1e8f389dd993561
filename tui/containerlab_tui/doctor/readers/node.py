"""What listeners in Node programs do, told from the programs' text by patterns. Pure."""

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache

from containerlab_tui.doctor.bounds import seconds
from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers.text import ARGUMENTS_LIMIT, NAME_LIMIT, argument_list, function_body, looked_at

_JS_FUNCTIONS = (
    r"function\s*\*?\s+NAME\s*\([^)]{0,300}\)\s*\{",
    r"\bNAME\s*[=:]\s*(?:async\s*)?(?:function\b[^{]{0,300}\{|\([^)]{0,300}\)\s*=>\s*\{|\w{1,100}\s*=>\s*\{)",
    r"\b(?:async\s+)?NAME\s*\([^)]{0,300}\)\s*\{",
)
_JS_ONE_LINE = r"\bNAME\s*=\s*(?:async\s*)?(?:\([^)]{0,300}\)|\w{1,100})\s*=>\s*([^{\n;][^\n;]*)"
_JS_LIBRARIES = (
    "enableShutdownHooks", "createTerminus", "@godaddy/terminus", "close-with-grace", "closeWithGrace",
    "node-graceful", "http-graceful-shutdown", "exit-hook", "async-exit-hook", "lightship", "gracefulShutdown",
)  # fmt: skip


_CALLS = 60
"""Functions of a program's own that are looked for."""
_LISTENERS = 50
_BODIES = 3
"""Listeners for one signal that are looked at."""
_JS_EXIT = re.compile(r"process\s*\.\s*exit")


def _js_body(text: str, argument: str) -> str:
    """The code that a listener runs, the program's own functions that it calls put in."""
    body = argument
    if re.fullmatch(r"[\w$.]+", argument.strip()) and len(argument) < NAME_LIMIT:
        name = argument.strip().rpartition(".")[2]
        body = function_body(text, name, _JS_FUNCTIONS)
        if not body:
            found = re.search(_JS_ONE_LINE.replace("NAME", re.escape(name)), text)
            body = found[1] if found else argument
    known = dict[str, str]()

    def put_in(body: str, depth: int) -> str:
        calls = re.findall(r"(?<![\w$])([A-Za-z_$][\w$]*)\s*\(", body) if depth else []
        for name in dict.fromkeys(calls):
            if name in ("function", "if", "for") or len(name) > NAME_LIMIT or len(body) > 4 * ARGUMENTS_LIMIT:
                continue
            if name not in known:
                known[name] = function_body(text, name, _JS_FUNCTIONS[:2]) if len(known) < _CALLS else ""
            if known[name] and known[name] not in body:
                body = f"{body}\n{put_in(known[name], depth - 1)}"
        return body

    return put_in(body, 3)


def handler(text: str, signal: str) -> Handler | None:
    """What the program does on a signal; `text` has no comments. None: no listener is found."""
    rests: list[str] = []
    listeners = re.finditer(r"process\s*\.\s*(?:on|once|addListener|prependListener)\s*\(", text)
    for found in itertools.islice(listeners, _LISTENERS):
        inside = argument_list(text, found.end() - 1)
        first, _, rest = inside.partition(",")
        word = first.strip().strip("'\"`")
        named = word.isidentifier() and not word.startswith("SIG") and not set("'\"`") & set(first)
        if word == signal or (named and (_listed(text, signal) or _holds(text, word, signal))):
            rests.append(rest)
    if not rests:
        used = next((one for one in _JS_LIBRARIES if one in text), "")
        return Handler(True, f"its text uses {used}, whose listener ends it") if used else None
    body = "\n".join(_js_body(text, rest) for rest in list(dict.fromkeys(rests))[:_BODIES])
    said = f"its text has a listener for {signal}"
    if re.search(
        r"\bprocess\s*\.\s*(exit|abort|reallyExit)\b|\bprocess\.kill\s*\(\s*process\.pid\s*,\s*['\"]SIGKILL", body
    ):
        return Handler(True, f"{said}, which exits", _js_delay(body))
    if re.search(r"process\.kill\s*\(\s*process\.pid", body):
        return Handler(True, f"{said}, which signals the program itself again", raises_again=True)
    if re.search(r"\bthrow\b", body) and not re.search(r"\bcatch\b|uncaughtException", text):
        return Handler(True, f"{said}, which throws what nobody catches")
    if re.search(r"(?<!process)\.kill\s*\(", body):
        return Handler(True, f"{said}, which ends the process that it waits for")
    if re.search(r"\.(close|stop|shutdown|destroy|end|quit|disconnect|terminate)\s*\(", body):
        if re.search(r"\bsetInterval\s*\(", text) and "clearInterval" not in text and ".unref(" not in text:
            return Handler(False, f"{said}, which closes something but leaves a timer running")
        return Handler(True, f"{said}, which closes what keeps the program running")
    if re.search(r"\bclearInterval\b|\.abort\s*\(|\bresolve\s*\(|\.emit\s*\(|\bexit\w*\s*\(", body):
        return Handler(True, f"{said}, which ends what keeps the program running")
    changed = set(re.findall(r"(?<![\w$.=!<>])([\w$]+)\s*=(?![=>])", body))
    if looked_at(changed, text, r"(?:while|if)\s*\(([^)]*)", r"\bNAME\b"):
        return Handler(True, f"{said}, which changes what the program looks at")
    return Handler(False, f"{said}, which doesn't end it")


@lru_cache(maxsize=16)
def _listed(text: str, signal: str) -> bool:
    """The signal stands in a list, as for a loop that adds listeners."""
    return bool(re.search(rf"['\"`]{signal}['\"`]\s*[,\]]|[\[,]\s*['\"`]{signal}['\"`]", text))


@lru_cache(maxsize=256)
def _holds(text: str, word: str, signal: str) -> bool:
    """A variable has the signal's name as its value."""
    return bool(re.search(rf"(?<![\w$]){re.escape(word)}\s*=\s*['\"`]{signal}['\"`]", text))


def blocked(texts: Sequence[str]) -> str:
    """Why no listener runs while a child of it does; empty: no reason is seen."""
    found = re.search(r"\b(execSync|spawnSync|execFileSync)\b", "\n".join(texts))
    return f"it is in {found[1]}(), and Node runs no listener before that command has ended" if found else ""


def _js_delay(body: str) -> float:
    """Seconds of a timer that comes before the exit, where nothing but it exits."""
    exits, timers = len(_JS_EXIT.findall(body)), list[float]()
    for part in body.split("setTimeout")[1:]:
        leaves = _JS_EXIT.search(part) if re.match(r"\s*\(", part) else None
        delay = re.compile(r",\s*([\d_]+)\s*\)").search(part, leaves.end()) if leaves else None
        if delay:
            timers.append(seconds(delay[1].replace("_", "")) / 1000)
    return max([0.3, *timers]) if exits == len(timers) else 0.3
