"""Finds out from the source what handlers in Ruby, Perl, PHP and Guile programs do, and what their runtimes do.

Patterns, not a parser: they cover the usual forms of handlers, so no result is more than `likely`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from containerlab_tui.doctor.bounds import seconds
from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers import node
from containerlab_tui.doctor.readers.text import argument_list, function_body, is_tested, without_comments


def handler(family: str, texts: Sequence[str], signal: str) -> Handler | None:
    """Returns what the program does on a signal, or None if its source doesn't handle it."""
    found: Handler | None = None
    whole = "\n".join(without_comments(family, text) for text in texts)
    match family:
        case "node":
            found = node.handler(whole, signal)
        case "ruby":
            found = _ruby(whole, signal) or _ruby_rescues(whole, signal)
        case "perl":
            found = _perl(whole, signal)
        case "php":
            found = _php(whole, signal) or _php_default(whole, signal)
        case "guile":
            found = _guile(whole, signal)
    return found


def by_runtime(family: str, signal: str, text_seen: bool) -> Handler | None:
    """Returns what the runtime's own handler does, for a program that sets none."""
    if family == "node" and signal in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"):
        if not text_seen:
            return Handler(None, "it can't be read, and Node's own handler looks the same as a listener")
        return Handler(True, "it has no listener, and Node's own handler raises the signal again", raises_again=True)
    if family == "python" and signal == "SIGINT":
        return Handler(True, "Python raises KeyboardInterrupt, which exits the program", by_exception=True)
    if family == "php" and signal == "SIGINT":
        return Handler(True, "PHP's built-in server exits on SIGINT")
    if family == "node" and signal == "SIGUSR1":
        return Handler(False, "Node starts its debugger on SIGUSR1 and keeps running")
    if family == "ruby" and signal in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        return (
            Handler(True, "Ruby raises an exception in its main thread, which exits the program") if text_seen else None
        )
    return None


def _ruby(text: str, signal: str) -> Handler | None:
    short = signal.removeprefix("SIG")
    head = rf"\b(?:Signal\.|Kernel\.)?trap\s*\(?\s*(?:['\"](?:SIG)?{short}['\"]|:(?:SIG)?{short}\b|\w+)"
    found = None
    for each in re.finditer(head + r"(?P<rest>[^\n]*)", text):
        word = each.group(0)
        if short in word.split("{")[0].split(" do")[0] or _ruby_listed(text, short):
            found = each
    if found is None:
        return None
    rest = text[found.start() : found.start() + 4000]
    said = f"the {signal} trap"
    if re.match(r"[^\n]*,\s*['\"](?:SIG_)?(?:DEFAULT|EXIT|SYSTEM_DEFAULT)['\"]", rest):
        return Handler(True, f"{said} restores the default action")
    brace, do = rest.find("{"), re.search(r"\bdo\b", rest)
    if brace >= 0 and (do is None or brace < do.start()):
        body = argument_list(rest, brace)
    elif do:
        body = re.split(r"^end\b|\n\s*end\b|;\s*end\b|\send\b", rest[do.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    else:
        return Handler(None, f"{said} is not defined on that line")
    if re.search(r"\b(exit!?|abort|raise|throw)\b", body):
        return Handler(True, f"{said} exits")
    if re.search(r"Process\.kill\s*\(?[^\n]*(\$\$|Process\.pid)", body):
        return Handler(True, f"{said} sends itself the signal again", raises_again=True)
    if re.search(r"\.(shutdown|stop|close|quit|terminate|kill|wakeup|push|write|halt)\b|<<", body):
        return Handler(True, f"{said} stops what keeps the program running")
    changed = set(re.findall(r"([$@]{0,2}\w+)\s*=(?!=)", body))
    if is_tested(changed, text, r"\b(?:while|until|if|unless)\b([^\n]*)", r"NAME\b"):
        return Handler(True, f"{said} changes a variable that the loop tests", _pauses(text))
    if not re.search(r"\b(loop|while|until)\b", text) and re.search(r"^\s*sleep\s*$", text, re.MULTILINE):
        return Handler(False, f"{said} never exits")
    return Handler(False, f"{said} never exits")


def _ruby_rescues(text: str, signal: str) -> Handler | None:
    """Judges the exception that Ruby raises for a signal: it may be rescued, or slow code may run at exit."""
    words = "SignalException|Exception|Interrupt" if signal == "SIGINT" else "SignalException|Exception"
    found = re.search(
        rf"\brescue\s+[^\n;]{{0,300}}\b({words})\b(?P<body>.*?)(?:\bend\b|\bensure\b|\Z)", text, re.DOTALL
    )
    if found is None:
        late = re.search(r"\b(?:ensure|at_exit)\b(.*)", text, re.DOTALL)
        why = "Ruby raises an exception in its main thread, which exits the program"
        return Handler(True, why, _pauses(late[1])) if late else None
    said = f"it rescues {found[1]}"
    if re.search(r"\b(break|exit!?|raise|return|abort|throw)\b", found["body"]):
        return Handler(True, f"{said} and then exits")
    if re.search(r"\b(loop|while|until)\b", text[: found.start()]):
        return Handler(False, f"{said} in a loop and continues")
    exits = None if re.search(r"\bretry\b", text) else True
    return Handler(exits, f"{said} and then finishes", _pauses(text[found.start() :]))


_PHP_READS = r"\b(?:fgets|fgetc|fread|fscanf|readline|stream_get_(?:contents|line))\s*\("


def _php_default(text: str, signal: str) -> Handler | None:
    """Judges a program without a handler: Zend restores the default action and raises the signal again."""
    if not text or signal not in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        return None
    if re.search(_PHP_READS, text):
        return Handler(False, "PHP continues its current read")
    if re.search(r"\b(while|for|do)\b\s*[({]", text):
        return Handler(True, "PHP's own handler raises the signal again", raises_again=True)
    return Handler(True, "the signal interrupts the program's wait, and it finishes")


@lru_cache(maxsize=16)
def _ruby_listed(text: str, short: str) -> bool:
    lists = re.findall(r"(?:\[|%w\()([^\]\)\[(]*)[\])]\s*\.each", text)
    return any(re.search(rf"\b(?:SIG)?{short}\b", one) for one in lists)


def _pauses(text: str) -> float:
    return max([0.3, *(seconds(one) for one in re.findall(r"\bsleep\s*\(?\s*(\d+(?:\.\d+)?)", text))])


def _perl_sets(text: str, short: str) -> int:
    """Returns the position of the last handler that a text sets for a signal; -1 if there is none."""
    listed = rf"(?:qw\s*[(/\[{{][^)/\]}}]{{0,150}}\b{short}\b|['\"]{short}['\"])"
    patterns = [
        rf"\$SIG\{{\s*['\"]?{short}['\"]?\s*\}}[^;=]{{0,200}}=\s*",
        rf"\b{short}\s*=>\s*",
        rf"\bsigaction\s*\(?\s*(?:&?POSIX::)?SIG{short}\b[^;]{{0,300}}?->\s*new\s*\(\s*",
    ]
    if re.search(listed, text):
        patterns.append(r"\$SIG\{\s*\$\w+\s*\}\s*=\s*")
    if re.search(rf"\bsigtrap\b[^;]{{0,300}}\b(?:normal-signals|{short})\b", text) and short in (
        "HUP",
        "INT",
        "PIPE",
        "TERM",
    ):
        patterns.append(r"\bsigtrap\b[^;{]{0,300}?handler['\"]?\s*(?:=>|,|\s)\s*")
    return max((found.end() for one in patterns for found in re.finditer(one, text)), default=-1)


def _perl(text: str, signal: str) -> Handler | None:
    short = signal.removeprefix("SIG")
    place = _perl_sets(text, short)
    if place < 0:
        if re.search(r"\bsigtrap\b[^;]{0,300}\bdie\b", text):
            return Handler(True, "it uses sigtrap to die on that signal")
        listed = re.search(rf"(?:@SIG\{{|\bsigtrap\b)[^;]{{0,300}}\b{short}\b", text)
        return Handler(None, f"it sets one handler for {signal} and other signals") if listed else None
    said, rest = f"the $SIG{{{short}}} handler", text[place:].partition(";")[0]
    named = re.match(r"\\&(\w+)|['\"](\w+)['\"]", rest)
    if re.match(r"sub\b[^{]*\{", text[place:]):
        body = argument_list(text, text.index("{", place))
    elif named:
        body = function_body(text, named[1] or named[2], (r"\bsub\s+NAME\s*\{",))
    else:
        chained = re.search(r"=\s*(sub\b[^{]{0,200}\{)", rest)
        if chained is None:
            return Handler(None, f"{said} is not defined in the source")
        body = argument_list(text, place + chained.end() - 1)
    dies = re.search(r"\b(die|croak|confess)\b", body)
    if dies and re.search(r"\b(while|until|for|foreach)\b[^;]{0,500}\beval\s*\{", text, re.DOTALL):
        return Handler(False, f"{said} dies inside an eval in a loop that continues")
    if re.search(r"\b(exit|die|_exit|croak|confess|exec)\b", body):
        return Handler(True, f"{said} exits")
    if re.search(r"\bkill\b[^;]{0,300}\$\$", body):
        return Handler(True, f"{said} sends itself the signal again", raises_again=True)
    changed = set(re.findall(r"\$(\w+)\s*(?:=|\+\+|\+=)", body)) | set(re.findall(r"\+\+\s*\$(\w+)", body))
    if is_tested(changed, text, r"\b(?:while|until|if|unless|last)\b([^;{]*(?:\{\w*)?)", r"\$\{?NAME\b"):
        return Handler(True, f"{said} changes a variable that the loop tests")
    if not re.search(r"\b(while|until|for|foreach|loop)\b", text) and re.search(r"\b(sleep|select|pause)\b", text):
        return Handler(True, f"{said} interrupts its only sleep")  # man perlipc
    return Handler(False, f"{said} never exits")


def _guile(text: str, signal: str) -> Handler | None:
    found = re.search(rf"\(sigaction\s+{signal}\b", text)
    if found is None:
        return None
    body = argument_list(text, found.start())
    if re.search(r"\((?:primitive-)?(?:_?exit|quit)\b|\((?:throw|raise|error|abort)", body):
        return Handler(True, f"the {signal} action exits")
    return Handler(None, f"what the {signal} action does is unknown")


def _php(text: str, signal: str) -> Handler | None:
    found = None
    for each in re.finditer(rf"pcntl_signal\s*\(\s*(?:{signal}|\$\w+)\s*,", text):
        found = each
    if found is None:
        return None
    said = f"the {signal} handler"
    if not re.search(r"pcntl_async_signals\s*\(\s*(true|1)|declare\s*\(\s*ticks|pcntl_signal_dispatch", text):
        if re.search(r"\bsleep\s*\(", text) and not re.search(r"\b(while|for|do)\b\s*[({]", text):
            return Handler(True, f"{said} interrupts its only sleep")
        return Handler(False, f"{said} never runs: nothing calls pcntl_async_signals or pcntl_signal_dispatch")
    inside = argument_list(text, text.index("(", found.start()))
    rest = inside.partition(",")[2]
    named = re.search(r"['\"](\w+)['\"]\s*\]?\s*(?:,[^()]{0,200})?$", rest) or re.search(
        r"(?<!\w)(\w+)\(\.\.\.\)", rest
    )
    body = function_body(text, named[1], (r"function\s+NAME\s*\([^)]{0,300}\)[^{;]{0,100}\{",)) if named else rest
    if re.search(r"\b(exit|die|throw)\b", body):
        return Handler(True, f"{said} exits")
    if re.search(r"posix_kill\s*\(\s*(getmypid|posix_getpid)", body):
        return Handler(True, f"{said} sends itself the signal again", raises_again=True)
    changed = set(re.findall(r"(?:\$|->|::\$)(\w+)\s*=(?!=)", body))
    if is_tested(changed, text, r"\b(?:while|if|for|until)\s*\(([^)]*)", r"NAME\b"):
        return Handler(True, f"{said} changes a variable that the loop tests", 0.5)
    if re.search(r"->\s*(stop|close|shutdown|quit|terminate|cancel)\s*\(", body):
        return Handler(True, f"{said} stops what keeps the program running")
    return Handler(False, f"{said} never exits")
