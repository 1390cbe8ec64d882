"""What can be searched, ablated and probed in `distribution_matching` (Liang et al. 2020).

The paper's ablation is table 7: reconstruction and matching, each with and without, in the fully-supervised form
and in the semi-supervised one. The controls are ours: what eq. 7 is when read literally, what the kernel's width
does, and whether a gain comes from the unlabeled utterances or only from more of the unsupervised losses. All rows
take equal numbers of steps.
"""

from __future__ import annotations

from search_spaces.space import AblationRow, Choice, Float, Int, Published, Space, Spaces

_PAPER = "Liang et al. 2020"
_ALL = "audio+text+video"
_SUPERVISED = {"train.omega": 0.0}


def _uar(mean: float, table: int, condition: str) -> Published:
    """The paper calls it unweighted accuracy (UA), and gives no spread."""
    return Published("iemocap", "uar", mean, None, f"{_PAPER}, table {table}", condition)


def _meld(mean: float, condition: str) -> Published:
    """Table 6 is in weighted F1, over seven emotions on the corpus's own split."""
    return Published("meld", "wf1", mean, None, f"{_PAPER}, table 6", condition)


LOSS_WEIGHTS: Space = {
    "train.alpha": Float(0.01, 4.0, log=True),
    "train.beta": Float(0.001, 10.0, log=True),
    "train.omega": Float(0.03, 3.0, log=True),
    "train.bandwidth": Float(0.25, 4.0, log=True),
}

NETWORK: Space = {
    "network.latent_dim": Int(16, 256, log=True),
    "network.dropout": Float(0.0, 0.8),
    "train.learning_rate": Float(1e-4, 1e-2, log=True),
    "train.weight_decay": Float(1e-3, 1.0, log=True),
}

ABLATION = (
    AblationRow(
        name="Fully-supervised",
        change=_SUPERVISED,
        claim="The unlabeled part gains 3.5 points of UAR with audio and text, 2.0 with all three (table 5).",
        published=(
            _uar(0.608, 5, "audio+video"),
            _uar(0.686, 5, "audio+text"),
            _uar(0.725, 5, _ALL),
            _meld(0.561, "audio+text"),
        ),
    ),
    AblationRow(
        name="Fully-supervised, without MMD",
        change={**_SUPERVISED, "train.beta": 0.0},
        claim="Reconstruction alone is better than neither (table 7).",
        published=(_uar(0.717, 7, _ALL),),
    ),
    AblationRow(
        name="Fully-supervised, without reconstruction",
        change={**_SUPERVISED, "train.alpha": 0.0},
        claim="Matching alone lets the latents collapse, and is worst (table 7).",
        published=(_uar(0.715, 7, _ALL),),
    ),
    AblationRow(
        name="Fully-supervised, without reconstruction and MMD",
        change={**_SUPERVISED, "train.alpha": 0.0, "train.beta": 0.0},
        claim="The vanilla model: encoders and classifier, cross entropy alone (table 7).",
        published=(_uar(0.715, 7, _ALL),),
    ),
    AblationRow(
        name="Without reconstruction",
        change={"train.alpha": 0.0},
        claim="Matching alone misleads the semi-supervised model too (table 7).",
        published=(_uar(0.715, 7, _ALL),),
    ),
    AblationRow(
        name="Audio alone, fully-supervised",
        change={"data.inputs": "audio", **_SUPERVISED},
        claim="What one modality gives, without any to match (table 4).",
        published=(_uar(0.585, 4, "audio"), _meld(0.402, "audio")),
    ),
    AblationRow(
        name="Text alone, fully-supervised",
        change={"data.inputs": "text", **_SUPERVISED},
        claim="What one modality gives, without any to match (table 4).",
        published=(_uar(0.648, 4, "text"), _meld(0.530, "text")),
    ),
    AblationRow(
        name="Video alone, fully-supervised",
        change={"data.inputs": "video", **_SUPERVISED},
        claim="What one modality gives, without any to match (table 4).",
        published=(_uar(0.454, 4, "video"),),
    ),
    AblationRow(
        name="Eq. 7 as printed (unpaired by shuffling)",
        change={"train.unpaired": "shuffled"},
        claim="Both matching terms cancel exactly, so matching plays no part in this row (ours).",
        control=True,
    ),
    AblationRow(
        name="Without MMD",
        change={"train.beta": 0.0},
        claim="What reconstruction of unlabeled utterances gives without matching (ours; not in table 7).",
        control=True,
    ),
    AblationRow(
        name="Eq. 6 alone (no unpaired term)",
        change={"train.unpaired": "none"},
        claim="Matching distributions, nothing against collapse but reconstruction (ours; the paper tells of it).",
        control=True,
    ),
    AblationRow(
        name="Unpaired from other dialogues",
        change={"train.unpaired": "other dialogues"},
        claim="Eq. 7 with other utterances in the unpaired place: not zero, but of the order of 1 / batch (ours).",
        control=True,
    ),
    AblationRow(
        name="Labeled utterances in place of unlabeled ones",
        change={"train.unlabeled": "labeled again"},
        claim="As much of the unsupervised losses, no unlabeled utterance: what eq. 8's weight alone does (ours).",
        control=True,
    ),
    AblationRow(
        name="Unlabeled part as it is (not balanced)",
        change={"data.balance": False},
        claim="Balancing the unlabeled part by pseudo-labels helps (ours; section 4.2 gives no row).",
        control=True,
    ),
    AblationRow(
        name="Kernel of a fixed width (sigma 1)",
        change={"train.sigma": "fixed"},
        claim="The paper gives no sigma: what a fixed one does instead of the median distance (ours).",
        control=True,
    ),
)

SENSITIVITY = {
    "data.unlabeled_amount": (0.0, 0.25, 0.5, 0.75, 1.0),
    "data.labels": (0.1, 0.25, 0.5, 1.0),
    "train.alpha": (0.0, 0.05, 0.2, 0.5, 1.0),
    "train.beta": (0.0, 0.01, 0.1, 1.0, 10.0),
    "train.omega": (0.0, 0.1, 0.3, 1.0, 3.0),
    "train.bandwidth": (0.25, 0.5, 1.0, 2.0, 4.0),
    "network.latent_dim": (16, 32, 64, 128, 256),
    "network.dropout": (0.0, 0.25, 0.5, 0.75),
    "train.learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "train.weight_decay": (0.001, 0.01, 0.1, 1.0),
}

SPACES = Spaces(
    method="distribution_matching",
    spaces={
        "loss_weights": LOSS_WEIGHTS,
        "network": NETWORK,
        "all": {
            **LOSS_WEIGHTS,
            **NETWORK,
            "train.unpaired": Choice(("product kernel", "other dialogues", "none")),
        },
    },
    default_space="loss_weights",
    ablation=ABLATION,
    sensitivity=SENSITIVITY,
    published=(
        _uar(0.612, 5, "audio+video"),
        _uar(0.721, 5, "audio+text"),
        _uar(0.745, 5, _ALL),
        _meld(0.571, "audio+text"),
    ),
    needs={},
    unlabeled=True,
)
