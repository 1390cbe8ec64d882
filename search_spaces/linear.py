"""What can be searched, ablated and probed in `linear`: a baseline of ours, so all its rows are controls."""

from __future__ import annotations

from search_spaces.space import AblationRow, Float, Spaces

ABLATION = (
    AblationRow(
        name="Audio only",
        change={"fit.inputs": "audio"},
        claim="What stored audio features tell a linear classifier: the floor of every audio number (ours).",
        control=True,
    ),
    AblationRow(
        name="Text only",
        change={"fit.inputs": "text"},
        claim="What stored text features tell a linear classifier: the floor of every text number (ours).",
        control=True,
    ),
    AblationRow(
        name="Without class weights",
        change={"fit.class_weights": False},
        claim="Weighting the cross entropy by class raises UAR where classes are uneven (ours).",
        control=True,
    ),
)

SPACES = Spaces(
    method="linear",
    spaces={"penalty": {"fit.C": Float(1e-4, 10.0, log=True)}},
    default_space="penalty",
    ablation=ABLATION,
    sensitivity={"fit.C": (1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 1.0)},
    needs={},
)
