"""What handlers in Ruby, Perl, PHP and Guile programs do, told from the programs' text; and what runtimes do. Pure.

Patterns, not a parser: enough for the forms that such handlers have, and never more than `likely`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from containerlab_tui.doctor.bounds import seconds
from containerlab_tui.doctor.case import Handler
from containerlab_tui.doctor.readers import node
from containerlab_tui.doctor.readers.text import argument_list, function_body, looked_at, without_comments


def handler(family: str, texts: Sequence[str], signal: str) -> Handler | None:
    """What the program does on a signal of which its text speaks; None: the text doesn't speak of it."""
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
    """What the runtime's own handler does where the program sets none (or none is found in its text)."""
    if family == "node" and signal in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"):
        if not text_seen:
            return Handler(
                None, "the program's text can't be read, and Node shows a handler with a listener and without"
            )
        return Handler(True, "no listener is found in its text, and Node's own handler raises the signal again",
                       raises_again=True)  # fmt: skip
    if family == "python" and signal == "SIGINT":
        return Handler(True, "Python raises KeyboardInterrupt, which ends the program", by_exception=True)
    if family == "php" and signal == "SIGINT":
        return Handler(True, "PHP's built-in server ends on SIGINT")
    if family == "node" and signal == "SIGUSR1":
        return Handler(False, "Node starts its debugger on SIGUSR1 and goes on")
    if family == "ruby" and signal in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        return (
            Handler(True, "Ruby raises an exception in its main thread, which ends the program") if text_seen else None
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
    said = f"its text traps {signal}"
    if re.match(r"[^\n]*,\s*['\"](?:SIG_)?(?:DEFAULT|EXIT|SYSTEM_DEFAULT)['\"]", rest):
        return Handler(True, f"{said} and leaves it to the default")
    brace, do = rest.find("{"), re.search(r"\bdo\b", rest)
    if brace >= 0 and (do is None or brace < do.start()):
        body = argument_list(rest, brace)
    elif do:
        body = re.split(r"^end\b|\n\s*end\b|;\s*end\b|\send\b", rest[do.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    else:
        return Handler(None, f"{said} with something that isn't in the line")
    if re.search(r"\b(exit!?|abort|raise|throw)\b", body):
        return Handler(True, f"{said} and exits")
    if re.search(r"Process\.kill\s*\(?[^\n]*(\$\$|Process\.pid)", body):
        return Handler(True, f"{said} and signals itself again", raises_again=True)
    if re.search(r"\.(shutdown|stop|close|quit|terminate|kill|wakeup|push|write|halt)\b|<<", body):
        return Handler(True, f"{said} and stops what keeps it running")
    changed = set(re.findall(r"([$@]{0,2}\w+)\s*=(?!=)", body))
    if looked_at(changed, text, r"\b(?:while|until|if|unless)\b([^\n]*)", r"NAME\b"):
        return Handler(True, f"{said} and changes what its loop looks at", _pauses(text))
    if not re.search(r"\b(loop|while|until)\b", text) and re.search(r"^\s*sleep\s*$", text, re.MULTILINE):
        return Handler(False, f"{said} without ending")
    return Handler(False, f"{said} and doesn't end it")


def _ruby_rescues(text: str, signal: str) -> Handler | None:
    """The exception that Ruby makes of a signal may be rescued; or something slow may come after it."""
    words = "SignalException|Exception|Interrupt" if signal == "SIGINT" else "SignalException|Exception"
    found = re.search(
        rf"\brescue\s+[^\n;]{{0,300}}\b({words})\b(?P<body>.*?)(?:\bend\b|\bensure\b|\Z)", text, re.DOTALL
    )
    if found is None:
        late = re.search(r"\b(?:ensure|at_exit)\b(.*)", text, re.DOTALL)
        told = "Ruby raises an exception in its main thread, which ends the program"
        return Handler(True, told, _pauses(late[1])) if late else None
    said = f"its text rescues {found[1]}"
    if re.search(r"\b(break|exit!?|raise|return|abort|throw)\b", found["body"]):
        return Handler(True, f"{said} and ends then")
    if re.search(r"\b(loop|while|until)\b", text[: found.start()]):
        return Handler(False, f"{said} in a loop that goes on")
    ends = None if re.search(r"\bretry\b", text) else True
    return Handler(ends, f"{said} and comes to its end", _pauses(text[found.start() :]))


_PHP_READS = r"\b(?:fgets|fgetc|fread|fscanf|readline|stream_get_(?:contents|line))\s*\("


def _php_default(text: str, signal: str) -> Handler | None:
    """Without a handler of the program's own, Zend restores the default action and raises the signal again."""
    if not text or signal not in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        return None
    if re.search(_PHP_READS, text):
        return Handler(False, "PHP goes on with the read that it is in")
    if re.search(r"\b(while|for|do)\b\s*[({]", text):
        return Handler(True, "PHP's own handler signals the program itself again", raises_again=True)
    return Handler(True, "the signal interrupts what the program waits in, and it comes to its end")


@lru_cache(maxsize=16)
def _ruby_listed(text: str, short: str) -> bool:
    lists = re.findall(r"(?:\[|%w\()([^\]\)\[(]*)[\])]\s*\.each", text)
    return any(re.search(rf"\b(?:SIG)?{short}\b", one) for one in lists)


def _pauses(text: str) -> float:
    return max([0.3, *(seconds(one) for one in re.findall(r"\bsleep\s*\(?\s*(\d+(?:\.\d+)?)", text))])


def _perl_sets(text: str, short: str) -> int:
    """Where in a text the code or name stands that it sets for a signal, the last one; -1: nowhere."""
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
            return Handler(True, "its text has sigtrap die on that signal")
        listed = re.search(rf"(?:@SIG\{{|\bsigtrap\b)[^;]{{0,300}}\b{short}\b", text)
        return Handler(None, f"its text sets a handler for {signal} with others") if listed else None
    said, rest = f"its text sets $SIG{{{short}}}", text[place:].partition(";")[0]
    named = re.match(r"\\&(\w+)|['\"](\w+)['\"]", rest)
    if re.match(r"sub\b[^{]*\{", text[place:]):
        body = argument_list(text, text.index("{", place))
    elif named:
        body = function_body(text, named[1] or named[2], (r"\bsub\s+NAME\s*\{",))
    else:
        chained = re.search(r"=\s*(sub\b[^{]{0,200}\{)", rest)
        if chained is None:
            return Handler(None, f"{said} to something that isn't in the text")
        body = argument_list(text, place + chained.end() - 1)
    dies = re.search(r"\b(die|croak|confess)\b", body)
    if dies and re.search(r"\b(while|until|for|foreach)\b[^;]{0,500}\beval\s*\{", text, re.DOTALL):
        return Handler(False, f"{said}, which dies in an eval of a loop that goes on")
    if re.search(r"\b(exit|die|_exit|croak|confess|exec)\b", body):
        return Handler(True, f"{said}, which exits")
    if re.search(r"\bkill\b[^;]{0,300}\$\$", body):
        return Handler(True, f"{said}, which signals itself again", raises_again=True)
    changed = set(re.findall(r"\$(\w+)\s*(?:=|\+\+|\+=)", body)) | set(re.findall(r"\+\+\s*\$(\w+)", body))
    if looked_at(changed, text, r"\b(?:while|until|if|unless|last)\b([^;{]*(?:\{\w*)?)", r"\$\{?NAME\b"):
        return Handler(True, f"{said}, which changes what its loop looks at")
    if not re.search(r"\b(while|until|for|foreach|loop)\b", text) and re.search(r"\b(sleep|select|pause)\b", text):
        return Handler(True, f"{said}, which interrupts its only sleep")  # man perlipc
    return Handler(False, f"{said}, which doesn't end it")


def _guile(text: str, signal: str) -> Handler | None:
    found = re.search(rf"\(sigaction\s+{signal}\b", text)
    if found is None:
        return None
    body = argument_list(text, found.start())
    if re.search(r"\((?:primitive-)?(?:_?exit|quit)\b|\((?:throw|raise|error|abort)", body):
        return Handler(True, f"its text has an action for {signal} that exits")
    return Handler(None, f"its text has an action for {signal}, and what that does isn't told")


def _php(text: str, signal: str) -> Handler | None:
    found = None
    for each in re.finditer(rf"pcntl_signal\s*\(\s*(?:{signal}|\$\w+)\s*,", text):
        found = each
    if found is None:
        return None
    said = f"its text sets a handler for {signal}"
    if not re.search(r"pcntl_async_signals\s*\(\s*(true|1)|declare\s*\(\s*ticks|pcntl_signal_dispatch", text):
        if re.search(r"\bsleep\s*\(", text) and not re.search(r"\b(while|for|do)\b\s*[({]", text):
            return Handler(True, f"{said}, which interrupts its only sleep")
        return Handler(
            False, f"{said} that never runs: neither pcntl_async_signals nor pcntl_signal_dispatch is called"
        )
    inside = argument_list(text, text.index("(", found.start()))
    rest = inside.partition(",")[2]
    named = re.search(r"['\"](\w+)['\"]\s*\]?\s*(?:,[^()]{0,200})?$", rest) or re.search(
        r"(?<!\w)(\w+)\(\.\.\.\)", rest
    )
    body = function_body(text, named[1], (r"function\s+NAME\s*\([^)]{0,300}\)[^{;]{0,100}\{",)) if named else rest
    if re.search(r"\b(exit|die|throw)\b", body):
        return Handler(True, f"{said}, which exits")
    if re.search(r"posix_kill\s*\(\s*(getmypid|posix_getpid)", body):
        return Handler(True, f"{said}, which signals itself again", raises_again=True)
    changed = set(re.findall(r"(?:\$|->|::\$)(\w+)\s*=(?!=)", body))
    if looked_at(changed, text, r"\b(?:while|if|for|until)\s*\(([^)]*)", r"NAME\b"):
        return Handler(True, f"{said}, which changes what its loop looks at", 0.5)
    if re.search(r"->\s*(stop|close|shutdown|quit|terminate|cancel)\s*\(", body):
        return Handler(True, f"{said}, which stops what keeps it running")
    return Handler(False, f"{said}, which doesn't end it")
