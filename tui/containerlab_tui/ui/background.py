"""Runs questions and changes in background threads and delivers each result to the UI thread as one message."""

import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from textual._context import NoActiveAppError
from textual.message_pump import MessagePump

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.session.threads import Pool

T = TypeVar("T")

_pool = Pool()
_generations: WeakKeyDictionary[MessagePump, dict[str, int]] = WeakKeyDictionary()


def tell(node: MessagePump, callback: Callable[[], object]) -> bool:
    """Call `callback` on the UI thread, from any thread. False: the node has gone, nothing is called."""
    try:
        return node.call_later(callback)
    except (NoActiveAppError, RuntimeError):  # taken out of the screen, or the loop has ended, just now
        return False


def _run(
    node: MessagePump,
    question: Callable[[], T],
    answer: Callable[[T], None],
    failed: Callable[[ContainerlabError], None] | None,
    wanted: Callable[[], bool],
    *,
    submit: Callable[[Callable[[], None]], None],
) -> None:
    def complain(error: ContainerlabError) -> None:
        if not wanted():
            return
        if failed is not None:
            failed(error)
        else:
            node.app.notify(str(error), severity="error", markup=False)

    def reply(value: T) -> None:
        if wanted():
            answer(value)

    def run() -> None:
        if not wanted():
            return
        try:
            value = question()
        except ContainerlabError as error:
            told = error
        except Exception as error:  # noqa: BLE001  a defect of ours must not end a thread in silence
            told = ContainerlabError(f"unexpected {type(error).__name__}: {error}")
        else:
            tell(node, lambda: reply(value))
            return
        tell(node, lambda: complain(told))

    submit(run)


def ask(
    node: MessagePump,
    question: Callable[[], T],
    answer: Callable[[T], None],
    failed: Callable[[ContainerlabError], None] | None = None,
    group: str = "ask",
) -> None:
    """Run `question` in a thread of our own; call `answer` or `failed` on the UI thread, if `node` still exists.

    Of the questions of one node and group only the last is answered: an earlier one's answer is dropped, and one
    that has not begun does not run. Without `failed` an error becomes a toast. Call it on the UI thread.
    """
    generations = _generations.setdefault(node, {})
    generation = generations[group] = generations.get(group, 0) + 1
    _run(node, question, answer, failed, lambda: generations[group] == generation, submit=_pool.submit)


def do(
    node: MessagePump,
    work: Callable[[], T],
    done: Callable[[T], None] | None = None,
    failed: Callable[[ContainerlabError], None] | None = None,
) -> None:
    """Like `ask` for work that changes something: it always runs, and nothing later supersedes its answer."""
    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=_pool.submit)


def attend(
    node: MessagePump,
    work: Callable[[], T],
    done: Callable[[T], None] | None = None,
    failed: Callable[[ContainerlabError], None] | None = None,
) -> None:
    """Like `do` for work that mostly waits, as a stop's does: it keeps no thread from those who ask."""

    def begin(run: Callable[[], None]) -> None:
        threading.Thread(target=run, name="attend", daemon=True).start()

    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=begin)


def forget(node: MessagePump, group: str = "ask") -> None:
    """Drop the answer of the question of `node` and `group` that is still under way, if there is one."""
    generations = _generations.setdefault(node, {})
    generations[group] = generations.get(group, 0) + 1
