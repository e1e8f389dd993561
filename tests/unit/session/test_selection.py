"""The containers that a key acts on, in words, and why an action does not apply."""

from dataclasses import replace

import pytest

from containerlab_tui.model.inventory import Container
from containerlab_tui.session.actions import Needs
from containerlab_tui.session.selection import Selection, about, counted, reason

WEB = Container("w" * 64, "web", "image:1", "running", "Up 2 seconds", "app -x", 900.0)


def of(*states: str, hidden: tuple[int, ...] = ()) -> Selection:
    """Returns containers `web`, `web-2` … in these states; `hidden` are places."""
    made = [
        replace(WEB, id=chr(97 + place) * 64, name="web" if place == 0 else f"web-{place + 1}", state=state)
        for place, state in enumerate(states)
    ]
    return Selection(tuple(made), frozenset(made[place].id for place in hidden))


@pytest.mark.parametrize(
    ("selection", "title", "lines"),
    [
        (of("running"), "web", ()),
        (of("running", hidden=(0,)), "web", ("It is hidden by the filter.",)),
        (of("running", "exited"), "2 containers", ("web, web-2",)),
        (
            of("running", "exited", "paused", hidden=(1,)),
            "3 containers",
            ("web, web-2 (hidden), web-3", "1 of them is hidden by the filter."),
        ),
        (
            of("running", "exited", "paused", hidden=(1, 2)),
            "3 containers",
            ("web, web-2 (hidden), web-3 (hidden)", "2 of them are hidden by the filter."),
        ),
        (
            of("running", "exited", hidden=(0, 1)),
            "2 containers",
            ("web (hidden), web-2 (hidden)", "All 2 are hidden by the filter."),
        ),
        (
            of("running", "exited", hidden=(1,))._replace(hidden_by="with the stopped containers"),
            "2 containers",
            ("web, web-2 (hidden)", "1 of them is hidden with the stopped containers."),
        ),
    ],
)
def test_a_question_names_all_and_counts_the_hidden(selection: Selection, title: str, lines: tuple[str, ...]) -> None:
    assert (counted(selection.containers), about(selection)) == (title, lines)


def test_every_name_is_listed_however_many_there_are() -> None:
    (line,) = about(of(*["running"] * 300))
    assert line.split(", ")[-1] == "web-300"
    assert line.count(", ") == 299


@pytest.mark.parametrize(
    ("needs", "selection", "sentence"),
    [
        (Needs.NOTHING, of(), ""),
        (Needs.CONTAINER, of("exited"), ""),
        (Needs.CONTAINER, of(), "No container is selected."),
        (Needs.RUNNING, of("running"), ""),
        (Needs.RUNNING, of("exited", "paused"), ""),
        (Needs.RUNNING, of("exited"), "web is not running. Press S to start it."),
        (Needs.RUNNING, of("exited", "created"), "None of the 2 marked containers is running."),
        (Needs.STOPPED, of("exited"), ""),
        (Needs.STOPPED, of("running"), "web is already running. Press R to restart it."),
        (Needs.STOPPED, of("paused"), "web is paused, not stopped. Press z to resume it."),
        (Needs.STOPPED, of("restarting"), "web is being restarted by its restart policy."),
        (Needs.STOPPED, of("running", "paused"), "None of the 2 marked containers is stopped."),
    ],
)
def test_an_action_that_does_not_apply_says_why(needs: Needs, selection: Selection, sentence: str) -> None:
    assert reason(needs, selection) == sentence


def test_a_removed_container_is_named() -> None:
    assert reason(Needs.CONTAINER, of(), "web") == "web was removed."


def test_an_action_takes_the_containers_that_it_applies_to() -> None:
    several = of("running", "exited", "paused", hidden=(1,))
    assert [one.name for one in several.fit_for(Needs.RUNNING).containers] == ["web", "web-3"]
    assert [one.name for one in several.fit_for(Needs.STOPPED).containers] == ["web-2"]
    assert several.fit_for(Needs.CONTAINER) == several
