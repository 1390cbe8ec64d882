"""What can be searched, ablated and probed in `concat_mlp`: a baseline of ours, so all its rows are controls."""

from __future__ import annotations

from search_spaces.space import AblationRow, Choice, Float, Int, Space, Spaces

TRAINING: Space = {
    "classify.learning_rate": Float(1e-4, 1e-2, log=True),
    "classify.weight_decay": Float(1e-3, 1.0, log=True),
    "classify.dropout": Float(0.0, 0.8),
}

NETWORK: Space = {
    "classify.hidden": Choice(((64,), (256,), (1024,), (256, 128))),
    "classify.batch_size": Int(32, 512, log=True),
}

ABLATION = (
    AblationRow(
        name="Audio only",
        change={"classify.inputs": "audio"},
        claim="What stored audio features tell a small network: the floor of every audio number (ours).",
        control=True,
    ),
    AblationRow(
        name="Text only",
        change={"classify.inputs": "text"},
        claim="What stored text features tell a small network: the floor of every text number (ours).",
        control=True,
    ),
    AblationRow(
        name="Linear (no hidden layer)",
        change={"classify.hidden": []},
        claim="Hidden units add to a linear layer trained in the same way (ours).",
        control=True,
    ),
    AblationRow(
        name="Without class weights",
        change={"classify.class_weights": False},
        claim="Weighting the cross entropy by class raises UAR where classes are uneven (ours).",
        control=True,
    ),
    AblationRow(
        name="Without dropout",
        change={"classify.dropout": 0.0},
        claim="Dropout keeps the network from fitting the train speakers (ours).",
        control=True,
    ),
)

SPACES = Spaces(
    method="concat_mlp",
    spaces={"training": TRAINING, "network": NETWORK, "all": {**TRAINING, **NETWORK}},
    default_space="training",
    ablation=ABLATION,
    sensitivity={
        "classify.learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
        "classify.weight_decay": (0.001, 0.01, 0.1, 1.0),
        "classify.dropout": (0.0, 0.25, 0.5, 0.75),
        "classify.hidden": ((), (64,), (256,), (256, 128), (1024,)),
        "classify.batch_size": (32, 64, 128, 256, 512),
    },
    needs={},
)
