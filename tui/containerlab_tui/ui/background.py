"""Runs questions and changes in background threads and delivers each result to the UI thread."""

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from textual.message_pump import MessagePump

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.session.threads import attempt, in_own_thread, pool
from containerlab_tui.ui.widgets.content import toast

T = TypeVar("T")

_generations: WeakKeyDictionary[MessagePump, dict[str, int]] = WeakKeyDictionary()


def deliver(node: MessagePump, callback: Callable[[], object]) -> bool:
    """Calls `callback` on the UI thread, from any thread. Returns False, and calls nothing, if the node was removed."""
    try:
        return node.call_later(callback)
    except RuntimeError:  # just removed from the screen, or the event loop has just ended
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
    def report_error(error: ContainerlabError) -> None:
        if not wanted():
            return
        if failed is not None:
            failed(error)
        else:
            toast(node, error.sentence, "error")

    def reply(value: T) -> None:
        if wanted():
            answer(value)

    def run() -> None:
        if wanted():
            attempt(
                question,
                lambda value: deliver(node, lambda: reply(value)),
                lambda error: deliver(node, lambda: report_error(error)),
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

    Only the last question of a node and group is answered: the answer to an earlier one is dropped, and one that has
    not started does not run. Without `failed` an error becomes a toast. Call it on the UI thread.
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
    """Like `ask`, for work that changes something: it always runs, and its answer is never dropped."""
    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=pool.submit)


def do_waiting(
    node: MessagePump,
    work: Callable[[], T],
    done: Callable[[T], object] | None = None,
    failed: Callable[[ContainerlabError], object] | None = None,
) -> None:
    """Like `do`, for work that mostly waits: it runs in its own thread, not in the pool."""
    _run(node, work, done or (lambda _value: None), failed, lambda: True, submit=in_own_thread)


def cancel(node: MessagePump, group: str = "ask") -> None:
    """Drops the answer to the current question of `node` and `group`, if any."""
    generations = _generations.setdefault(node, {})
    generations[group] = generations.get(group, 0) + 1
