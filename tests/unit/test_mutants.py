"""Mutants have names that another wording of a sentence or a comment does not change."""

from tests.mutants.run import changed

WRITTEN_BY_MUTMUT = """
def x_f__mutmut_orig(a, why="No such thing."):
    return a < 1  # a reason
def x_f__mutmut_1(a, why="XXNo such thing.XX"):
    return a < 1  # a reason
def x_f__mutmut_2(a, why="No such thing."):
    return a <= 1  # a reason
class C:
    def xǁCǁg__mutmut_orig(self):
        return print("x", f"two words")
    def xǁCǁg__mutmut_1(self):
        return print("X", f"two words")
"""


def test_the_name_of_a_mutant() -> None:
    assert {name for name in dict(changed(WRITTEN_BY_MUTMUT)).values() if name} == {
        "f: return a < 1 -> return a <= 1",
        'C.g: return print("x", "…") -> return print("X", "…")',
    }
