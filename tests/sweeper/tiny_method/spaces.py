"""Ranges, rows and grids of the tiny method."""

from search_spaces.space import AblationRow, Choice, Float, Spaces

SPACES = Spaces(
    method="tiny",
    spaces={
        "rate": {"learn.rate": Float(0.03, 3.0, log=True)},
        "both": {"learn.rate": Float(0.03, 3.0, log=True), "tune.gain": Float(0.0, 1.0)},
        "few": {"learn.kind": Choice(("a", "b"))},
    },
    default_space="rate",
    ablation=(
        AblationRow(name="Without dreaming", change={"dream.on": False}, claim="Dreams do nothing.", control=True),
        AblationRow(name="Without gain", change={"tune.gain": 0.0}, claim="Gain helps."),
    ),
    sensitivity={"learn.rate": (0.1, 0.3, 1.0), "tune.gain": (0.0, 0.1, 1.0)},
    requires=("audio",),
    needs={},
)
