"""Questions and long waits off the UI thread."""

import threading

from textual.app import App

from containerlab_probes.errors import Gone
from containerlab_tui.session.threads import MOST_THREADS
from containerlab_tui.ui.background import ask, attend
from tests.ui.samples import settled


async def test_many_long_waits_keep_no_question_waiting() -> None:
    app = App[None]()
    over = threading.Event()
    ended: list[bool] = []
    answers: list[str] = []
    async with app.run_test() as pilot:
        for _ in range(MOST_THREADS + 6):
            attend(app, lambda: over.wait(20), ended.append)
        ask(app, lambda: "here", answers.append)
        await settled(pilot, lambda: answers == ["here"], "the answer")
        assert not ended
        over.set()
        await settled(pilot, lambda: len(ended) == MOST_THREADS + 6, "their ends")
        assert all(ended)


async def test_an_error_is_told_and_a_later_question_supersedes() -> None:
    app = App[None]()
    told: list[str] = []
    answers: list[str] = []

    def fails() -> str:
        raise Gone("It has gone.")

    async with app.run_test() as pilot:
        ask(app, fails, answers.append, lambda error: told.append(str(error)), group="one")
        await settled(pilot, lambda: told == ["It has gone."], "the sentence")
        hold = threading.Event()
        ask(app, lambda: (hold.wait(20), "first")[1], answers.append, group="two")
        ask(app, lambda: "second", answers.append, group="two")
        await settled(pilot, lambda: answers == ["second"], "the second answer")
        hold.set()
        ask(app, lambda: "last", answers.append, group="three")
        await settled(pilot, lambda: "last" in answers, "the last answer")
        assert "first" not in answers
