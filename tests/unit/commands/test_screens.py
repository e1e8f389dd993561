"""Opening the UI: the list of containers that is fetched while the UI is imported."""

from collections.abc import Sequence

import pytest

from containerlab_probes.errors import ContainerlabError, Unreachable
from containerlab_tui.commands.screens import FirstList
from containerlab_tui.model.inventory import Container
from tests.support.engine import LINE


def test_the_first_list_is_what_was_fetched() -> None:
    assert FirstList(lambda: (LINE,)).answer() == (LINE,)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(Unreachable("no engine"), "no engine"), (KeyError("Names"), "unexpected KeyError: 'Names'")],
)
def test_an_error_of_the_fetch_is_not_an_empty_list(
    fault: Exception, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def fetch() -> Sequence[Container]:
        raise fault

    with pytest.raises(ContainerlabError) as raised:
        FirstList(fetch).answer()
    assert str(raised.value) == sentence
    assert capfd.readouterr().err == ""
