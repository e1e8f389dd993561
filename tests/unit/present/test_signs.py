"""The signs of the screens: one meaning each, one cell wide."""

from rich.cells import cell_len

from containerlab_tui.present import signs

SIGNS = {name: value for name, value in vars(signs).items() if name.isupper() and isinstance(value, str)}


def test_each_sign_has_one_meaning() -> None:
    assert len(SIGNS) > 15
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_each_sign_takes_one_cell() -> None:
    assert {name for name, sign in SIGNS.items() if cell_len(sign) != 1} == set()
