"""What can be searched, ablated and probed in `subspace_mapping` (Du et al. 2024).

The paper calls its numbers weighted accuracy, but those of table 3 are the unweighted means of the class recalls
printed beside them, and tables 6 and 7 repeat them: so they stand beside our UAR. On IEMOCAP it tests session 5 only,
it names no dev part, and its tables disagree on what should be one row (without L_ua: 81.10 and 81.84). Controls are
ours.
"""

from __future__ import annotations

from search_spaces.space import AblationRow, Choice, Float, Int, Published, Space, Spaces

_PAPER = "Du et al. 2024"
_BOTH = "audio+text"
_CLASSIC = {"fuse.subspace": False}
_NO_LUA = {"fuse.unimodal": 0.0}


def _table(number: int, iemocap: float, msp_improv: float, condition: str = _BOTH) -> tuple[Published, ...]:
    """A row's two numbers in a table of the paper, in percent."""
    printed = "average of recalls" if number == 3 else "printed as WA, a mean of class recalls"
    return tuple(
        Published(
            corpus, "uar", round(mean / 100, 4), None, f"{_PAPER}, table {number} ({printed}; {tested})", condition
        )
        for corpus, mean, tested in (
            ("iemocap", iemocap, "session 5 only"),
            ("msp_improv", msp_improv, "12 folds, other-improvised only"),
        )
    )


LOSS_WEIGHTS: Space = {
    "fuse.alpha": Float(0.01, 1.0, log=True),
    "fuse.beta": Float(0.01, 1.0, log=True),
    "fuse.unimodal": Float(0.1, 10.0, log=True),
}

TRAINING: Space = {
    "fuse.learning_rate": Float(1e-4, 1e-2, log=True),
    "fuse.weight_decay": Float(1e-5, 1.0, log=True),
    "fuse.dropout": Float(0.0, 0.6),
    "fuse.hidden": Choice((40, 60, 100, 200)),
}

ABLATION = (
    AblationRow(
        name="Audio only",
        change={"fuse.inputs": "audio"},
        claim="Both modalities together are far better than audio alone (table 3, A).",
        published=_table(3, 69.73, 69.07, "audio"),
    ),
    AblationRow(
        name="Text only",
        change={"fuse.inputs": "text"},
        claim="Both modalities together are better than text alone, the better one of the two (table 3, T).",
        published=_table(3, 80.62, 82.00, "text"),
    ),
    AblationRow(
        name="Without L_ua",
        change=_NO_LUA,
        claim="The unimodal auxiliary loss gains 4 to 5 points (tables 3 and 7, which disagree on this row).",
        published=(*_table(3, 81.10, 82.80), *_table(7, 81.84, 82.80)),
    ),
    AblationRow(
        name="Without cross-modality attention",
        change={"fuse.cross_attention": False},
        claim="Cross-modality attention bridges the gap between unique representations (table 6, row 2).",
        published=_table(6, 85.23, 86.13),
    ),
    AblationRow(
        name="Without L_sp and cross-modality attention",
        change={"fuse.beta": 0.0, "fuse.cross_attention": False},
        claim="The subspace loss makes public and unique representations out of raw ones (table 6, row 3).",
        published=_table(6, 84.79, 84.64),
    ),
    AblationRow(
        name="Without L_ua, L_sp and cross-modality attention",
        change={"fuse.beta": 0.0, "fuse.cross_attention": False, **_NO_LUA},
        claim="The auxiliary loss filters out what is unrelated to emotion (table 6, row 4).",
        published=_table(6, 80.85, 79.36),
    ),
    AblationRow(
        name="Bi-GRU with L_ua",
        change=_CLASSIC,
        claim="Subspace mapping is the key difference of the full model to this row (table 7).",
        published=_table(7, 84.64, 84.93),
    ),
    AblationRow(
        name="Bi-GRU without L_ua",
        change={**_CLASSIC, **_NO_LUA},
        claim="The auxiliary loss helps a plain Bi-GRU too (table 7).",
        published=_table(7, 83.14, 83.35),
    ),
    AblationRow(
        name="Bi-LSTM with L_ua",
        change={**_CLASSIC, "fuse.encoder": "bilstm"},
        claim="A Bi-LSTM is far behind a Bi-GRU (table 7).",
        published=_table(7, 73.21, 71.26),
    ),
    AblationRow(
        name="Bi-LSTM without L_ua",
        change={**_CLASSIC, **_NO_LUA, "fuse.encoder": "bilstm"},
        claim="The auxiliary loss helps a plain Bi-LSTM too (table 7).",
        published=_table(7, 71.36, 69.54),
    ),
    AblationRow(
        name="GRU without L_ua",
        change={**_CLASSIC, **_NO_LUA, "fuse.encoder": "gru"},
        claim="Reading in both directions is better than in one (table 5: F1 0.732 against 0.827 on MSP-IMPROV).",
    ),
    AblationRow(
        name="Each utterance its own dialogue",
        change={"fuse.max_turns": 1},
        claim="What is left without dialogue context (ours): a score that stays high here is a leak.",
        control=True,
    ),
    AblationRow(
        name="Turns shuffled",
        change={"fuse.shuffle_turns": True},
        claim="What the mood of a dialogue is worth without the order of its turns (ours).",
        control=True,
    ),
    AblationRow(
        name="Self-attention without a recurrent encoder",
        change={"fuse.encoder": "none"},
        claim="What the recurrent encoder adds to attention over the dialogue (ours).",
        control=True,
    ),
    AblationRow(
        name="Without self-attention",
        change={"fuse.self_attention": False},
        claim="What self-attention adds to the recurrent encoder (ours).",
        control=True,
    ),
    AblationRow(
        name="Without similarity and difference losses",
        change={"fuse.alpha": 0.0},
        claim="Public representations overlap and unique ones part because of eq. 5 and 6 (figure 4, alpha = 0).",
        control=True,
    ),
    AblationRow(
        name="Without similarity loss",
        change={"fuse.similarity": 0.0},
        claim="What central moment discrepancy, eq. 5, adds by itself (ours).",
        control=True,
    ),
    AblationRow(
        name="Without difference loss",
        change={"fuse.difference": 0.0},
        claim="What eq. 6 adds by itself (ours).",
        control=True,
    ),
    AblationRow(
        name="Difference loss as printed",
        change={"fuse.printed_difference": True},
        claim="Eq. 6 as printed grows with the square of the batch and drowns the other losses (ours).",
        control=True,
    ),
    AblationRow(
        name="Without reconstruction loss",
        change={"fuse.reconstruction": 0.0},
        claim="Reconstruction, eq. 7, keeps representations from being trivial (section 3.5; the row is ours).",
        control=True,
    ),
    AblationRow(
        name="Without cycle consistency loss",
        change={"fuse.cycle": 0.0},
        claim="What eq. 8 adds by itself (ours).",
        control=True,
    ),
)

SENSITIVITY = {
    "fuse.alpha": (0.0, 0.01, 0.03, 0.1, 0.3, 1.0),
    "fuse.beta": (0.0, 0.01, 0.03, 0.1, 0.3, 1.0),
    "fuse.unimodal": (0.0, 0.1, 0.3, 1.0, 3.0, 10.0),
    "fuse.cmd_order": (1, 2, 3, 5, 7),
    "fuse.dropout": (0.0, 0.1, 0.2, 0.4, 0.6),
    "fuse.hidden": (40, 60, 100, 200),
    "fuse.learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
}

#: What only matters where there are two modalities or more.
_MAPPING = frozenset(
    {
        "fuse.subspace",
        "fuse.cross_attention",
        "fuse.unimodal",
        "fuse.alpha",
        "fuse.beta",
        "fuse.similarity",
        "fuse.difference",
        "fuse.reconstruction",
        "fuse.cycle",
        "fuse.cmd_order",
        "fuse.printed_difference",
    }
)

SPACES = Spaces(
    method="subspace_mapping",
    spaces={
        "loss_weights": LOSS_WEIGHTS,
        "training": TRAINING,
        "all": {**LOSS_WEIGHTS, **TRAINING, "fuse.cmd_order": Int(1, 7)},
    },
    default_space="loss_weights",
    ablation=ABLATION,
    sensitivity=SENSITIVITY,
    published=_table(3, 85.92, 86.75),
    needs={"audio": _MAPPING, "text": _MAPPING},
)
