"""Runs questions and changes in background threads and delivers each result to the UI thread as one message."""

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from textual.message_pump import MessagePump

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.session.threads import attempt, in_own_thread, pool

T = TypeVar("T")

_generations: WeakKeyDictionary[MessagePump, dict[str, int]] = WeakKeyDictionary()


def tell(node: MessagePump, callback: Callable[[], object]) -> bool:
    """Calls `callback` on the UI thread, from any thread. False: the node has gone, nothing is called."""
    try:
        return node.call_later(callback)
    except RuntimeError:  # removed from the screen, or the event loop has ended, just now
        return False


def _run(
    node: MessagePump,
    question: Callable[[], T],
    answer: Callable[[T], object],
    failed: Callable[[ContainerlabError], object] | None,
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
        if wanted():
            attempt(
                question,
                lambda value: tell(node, lambda: reply(value)),
                lambda error: tell(node, lambda: complain(error)),
            )

    submit(run)


def ask(
    node: MessagePump,
    question: Callable[[], T],
    answer: Callable[[T], object],
    failed: Callable[[ContainerlabError], object] | None = None,
    group: str = "ask",
) -> None:
    """Runs `question` in a background thread; calls `answer` or `failed` on the UI thread, if `node` still exists.

    Of the questions of one node and group only the last is answered: an earlier one's answer is dropped, and one
    that has not begun does not run. Without `failed` an error becomes a toast. Call it on the UI thread.
    """
    generations = _generations.setdefault(node, {})
    generation = generations[group] = generations.get(group, 0) + 1
    _run(node, question, answer, failed, lambda: generations[group] == generation, submit=pool.submit)


def do(
    node: MessagePump,
    work: Callable[[], T],
    done: Callable[[T], object] | None = None,
    failed: Callable[[ContainerlabError], object] | None = None,
) -> None:
    """Like `ask` for work that changes something: it always runs, and nothing later supersedes its answer."""
    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=pool.submit)


def attend(
    node: MessagePump,
    work: Callable[[], T],
    done: Callable[[T], object] | None = None,
    failed: Callable[[ContainerlabError], object] | None = None,
) -> None:
    """Like `do` for work that mostly waits: it takes no thread from those who ask."""
    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=in_own_thread)


def forget(node: MessagePump, group: str = "ask") -> None:
    """Drops the answer of the question of `node` and `group` that is in progress, if there is one."""
    generations = _generations.setdefault(node, {})
    generations[group] = generations.get(group, 0) + 1
