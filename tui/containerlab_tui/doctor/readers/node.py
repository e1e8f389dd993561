"""Finds out from a Node program's source what its signal listeners do, by patterns."""

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache

from containerlab_tui.doctor.bounds import seconds
from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers.text import ARGUMENTS_LIMIT, NAME_LIMIT, argument_list, function_body, is_tested

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
"""Functions of the program that are followed."""
_LISTENERS = 50
_BODIES = 3
"""Listeners for one signal that are analysed."""
_JS_EXIT = re.compile(r"process\s*\.\s*exit")


def _js_body(text: str, argument: str) -> str:
    """Returns the code that a listener runs, including the program's functions that it calls."""
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
    """Returns what the program does on a signal, or None without a listener; `text` has no comments."""
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
        return Handler(True, f"it uses {used}, whose listener exits the program") if used else None
    body = "\n".join(_js_body(text, rest) for rest in list(dict.fromkeys(rests))[:_BODIES])
    said = f"the {signal} listener"
    if re.search(
        r"\bprocess\s*\.\s*(exit|abort|reallyExit)\b|\bprocess\.kill\s*\(\s*process\.pid\s*,\s*['\"]SIGKILL", body
    ):
        return Handler(True, f"{said} exits", _js_delay(body))
    if re.search(r"process\.kill\s*\(\s*process\.pid", body):
        return Handler(True, f"{said} raises the signal again", raises_again=True)
    if re.search(r"\bthrow\b", body) and not re.search(r"\bcatch\b|uncaughtException", text):
        return Handler(True, f"{said} throws an uncaught error")
    if re.search(r"(?<!process)\.kill\s*\(", body):
        return Handler(True, f"{said} stops the child process that the program waits for")
    if re.search(r"\.(close|stop|shutdown|destroy|end|quit|disconnect|terminate)\s*\(", body):
        if re.search(r"\bsetInterval\s*\(", text) and "clearInterval" not in text and ".unref(" not in text:
            return Handler(False, f"{said} closes something but leaves a timer running")
        return Handler(True, f"{said} closes what keeps the program running")
    if re.search(r"\bclearInterval\b|\.abort\s*\(|\bresolve\s*\(|\.emit\s*\(|\bexit\w*\s*\(", body):
        return Handler(True, f"{said} stops what keeps the program running")
    changed = set(re.findall(r"(?<![\w$.=!<>])([\w$]+)\s*=(?![=>])", body))
    if is_tested(changed, text, r"(?:while|if)\s*\(([^)]*)", r"\bNAME\b"):
        return Handler(True, f"{said} changes a variable that the program tests")
    return Handler(False, f"{said} never exits")


@lru_cache(maxsize=16)
def _listed(text: str, signal: str) -> bool:
    """Returns whether a list contains the signal, as for a loop that adds listeners."""
    return bool(re.search(rf"['\"`]{signal}['\"`]\s*[,\]]|[\[,]\s*['\"`]{signal}['\"`]", text))


@lru_cache(maxsize=256)
def _holds(text: str, word: str, signal: str) -> bool:
    """Returns whether a variable has the signal's name as its value."""
    return bool(re.search(rf"(?<![\w$]){re.escape(word)}\s*=\s*['\"`]{signal}['\"`]", text))


def blocked(texts: Sequence[str]) -> str:
    """Returns why no listener runs while a child does; empty if no reason is found."""
    found = re.search(r"\b(execSync|spawnSync|execFileSync)\b", "\n".join(texts))
    return f"it is in {found[1]}(), and Node runs no listener until that command exits" if found else ""


def _js_delay(body: str) -> float:
    """Returns the seconds of a timer before the exit, if every exit is in a timer."""
    exits, timers = len(_JS_EXIT.findall(body)), list[float]()
    for part in body.split("setTimeout")[1:]:
        leaves = _JS_EXIT.search(part) if re.match(r"\s*\(", part) else None
        delay = re.compile(r",\s*([\d_]+)\s*\)").search(part, leaves.end()) if leaves else None
        if delay:
            timers.append(seconds(delay[1].replace("_", "")) / 1000)
    return max([0.3, *timers]) if exits == len(timers) else 0.3
