"""Questions and long waits in background threads."""

import threading

from textual.app import App

from containerlab_probes.errors import Gone
from containerlab_tui.session.threads import MOST_THREADS
from containerlab_tui.ui.background import ask, do_waiting
from tests.ui.samples import settled


async def test_long_waits_do_not_delay_questions() -> None:
    app = App[None]()
    over = threading.Event()
    ended: list[bool] = []
    answers: list[str] = []
    async with app.run_test() as pilot:
        for _ in range(MOST_THREADS + 6):
            do_waiting(app, lambda: over.wait(20), ended.append)
        ask(app, lambda: "here", answers.append)
        await settled(pilot, lambda: answers == ["here"], "the answer")
        assert not ended
        over.set()
        await settled(pilot, lambda: len(ended) == MOST_THREADS + 6, "their results")
        assert all(ended)


async def test_errors_are_reported_and_only_the_last_question_is_answered() -> None:
    app = App[None]()
    errors: list[str] = []
    answers: list[str] = []

    def fails() -> str:
        raise Gone("No such container.")

    async with app.run_test() as pilot:
        ask(app, fails, answers.append, lambda error: errors.append(str(error)), group="one")
        await settled(pilot, lambda: errors == ["No such container."], "the sentence")
        hold = threading.Event()
        ask(app, lambda: (hold.wait(20), "first")[1], answers.append, group="two")
        ask(app, lambda: "second", answers.append, group="two")
        await settled(pilot, lambda: answers == ["second"], "the second answer")
        hold.set()
        ask(app, lambda: "last", answers.append, group="three")
        await settled(pilot, lambda: "last" in answers, "the last answer")
        assert "first" not in answers
