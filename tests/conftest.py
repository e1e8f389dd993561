"""Fixtures of all tests, and how hypothesis works in them."""

from hypothesis import Phase, settings

# No deadline: on a busy machine an example takes as long as it takes.
settings.register_profile("containerlab", deadline=None)
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("containerlab")
