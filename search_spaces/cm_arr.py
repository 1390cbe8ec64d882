"""What can be searched, ablated and probed in `cm_arr` (Sun et al. 2024).

Published numbers are those of tables 2 and 3, WAR and UAR, condition by condition. The paper's averages leave the
complete condition out; a mean over conditions here has it in. The controls are ours: they say how much of what
recovery is credited with comes from training on incomplete inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.space import AblationRow, Choice, Float, Int, Published, Space, Spaces

_PAPER = "Sun et al. 2024"
#: The rows of tables 2 and 3, {t} {s} {v} {v,t} {s,v} {s,t}, and of table 2 {s,v,t}.
_CONDITIONS = ("text", "audio", "video", "text+video", "audio+video", "audio+text", "audio+text+video")


def _printed(corpus: str, table: int, war: Sequence[float], uar: Sequence[float]) -> tuple[Published, ...]:
    """Percentages in the order of the table's rows."""
    source = f"{_PAPER}, table {table}"
    return tuple(
        Published(corpus, metric, round(value / 100, 4), None, source, condition)
        for metric, values in (("uar", uar), ("war", war))
        for condition, value in zip(_CONDITIONS, values, strict=False)
    )


def _table3(war: Sequence[float], uar: Sequence[float]) -> tuple[Published, ...]:
    return _printed("iemocap", 3, war, uar)


#: Feature extraction and fusion only (section 4.4).
_BASELINE = {
    "train.alpha": 0.0,
    "train.beta": 0.0,
    "train.lambda_rec": 0.0,
    "train.representation": "plain",
    "train.recovery": "zeros",
}
_NO_RECOVERY = {"train.lambda_rec": 0.0}

LOSS_WEIGHTS: Space = {
    "train.alpha": Float(0.03, 30.0, log=True),
    "train.beta": Float(0.003, 3.0, log=True),
    "train.lambda_rec": Float(0.3, 300.0, log=True),
    "train.temperature": Float(0.01, 100.0, log=True),
    "train.spcl_temperature": Float(0.03, 1.0, log=True),
}

NETWORK: Space = {
    "train.tokens": Int(1, 8),
    "train.channels": Choice((16, 32, 64)),
    "train.transforms": Int(2, 6),
    "train.blocks": Int(1, 4),
}

TRAINING: Space = {
    "train.learning_rate": Float(1e-4, 1e-2, log=True),
    "train.weight_decay": Float(1e-3, 1.0, log=True),
    "train.dropout": Float(0.0, 0.7),
}

ABLATION = (
    AblationRow(
        name="Baseline",
        change={**_BASELINE, "train.missing": "none"},
        claim="A model trained on complete inputs only fails where a modality is missing (table 3).",
        published=_table3(
            (66.63, 55.57, 42.91, 68.71, 61.10, 75.34),
            (67.15, 57.75, 37.54, 68.94, 62.84, 76.61),
        ),
    ),
    AblationRow(
        name="w/o L_udcl",
        change={"train.alpha": 0.0},
        claim="Aligning the modalities' distributions bridges their differences and helps recovery (table 3).",
        published=_table3(
            (69.44, 71.90, 50.24, 71.59, 72.06, 76.51),
            (70.20, 72.67, 48.35, 72.90, 72.96, 78.04),
        ),
    ),
    AblationRow(
        name="w/o L_spcl",
        change={"train.beta": 0.0},
        claim="Supervised contrast across instances brings out emotion beyond semantics (table 3).",
        published=_table3(
            (69.49, 71.89, 51.14, 72.55, 73.37, 77.80),
            (70.45, 72.99, 48.56, 73.33, 73.86, 78.83),
        ),
    ),
    AblationRow(
        name="w/o attention",
        change={"train.channel_attention": False},
        claim="Attention adds to recovery (table 3; which attention is not said, here that of the recovery blocks).",
        published=_table3(
            (68.71, 71.68, 50.00, 70.72, 72.10, 76.77),
            (69.75, 72.72, 47.76, 71.53, 73.47, 77.91),
        ),
    ),
    AblationRow(
        name="w/ Point",
        change={"train.representation": "point"},
        claim="Gaussians carry semantic uncertainty that points do not (table 3).",
        published=_table3(
            (66.71, 70.48, 50.35, 71.06, 72.65, 75.53),
            (67.96, 71.74, 48.99, 72.19, 73.26, 76.67),
        ),
    ),
    AblationRow(
        name="Baseline trained on all conditions",
        change=_BASELINE,
        claim="What training on incomplete inputs gains by itself, without anything else of the method (ours).",
        control=True,
    ),
    AblationRow(
        name="Zeros in place of the missing modality",
        change={**_NO_RECOVERY, "train.recovery": "zeros"},
        claim="Level with the full model: recovery adds nothing to training on all conditions (ours).",
        control=True,
    ),
    AblationRow(
        name="Learned token in place of the missing modality",
        change={**_NO_RECOVERY, "train.recovery": "token"},
        claim="As with zeros, but the network may learn what stands for a missing modality (ours).",
        control=True,
    ),
    AblationRow(
        name="w/o L_rec",
        change=_NO_RECOVERY,
        claim="What the flows give when only the classifier tells them what to recover (ours).",
        control=True,
    ),
    AblationRow(
        name="w/o attention in the uncertainty module",
        change={"train.umc_attention": False},
        claim="The other attention that the paper's row may mean: that of fig. 3 (ours).",
        control=True,
    ),
    AblationRow(
        name="L_rec as printed (gradients into X)",
        change={"train.stop_gradient": "none"},
        claim="Eq. 9 as printed lets X shrink towards what is easily recovered; watch its spread (ours).",
        control=True,
    ),
    AblationRow(
        name="Eq. 1 as printed (variances)",
        change={"train.wasserstein": "variance"},
        claim="Whether the 2-Wasserstein distance or its printed form matters (ours).",
        control=True,
    ),
    AblationRow(
        name="With the flows' likelihood",
        change={"train.likelihood": 1.0},
        claim="Eq. 14 lacks what makes the latents Gaussian; adding it shows whether that matters (ours).",
        control=True,
    ),
)

SENSITIVITY = {
    # Fig. 4 shows curves without readable values; these grids hold its best points, 1.0, 0.5 and 10, and section 4.2's.
    "train.alpha": (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0),
    "train.beta": (0.0, 0.01, 0.1, 0.5, 1.0, 2.0),
    "train.lambda_rec": (0.0, 1.0, 5.0, 10.0, 20.0, 50.0),
    "train.likelihood": (0.0, 0.01, 0.1, 1.0),
    "train.temperature": (0.01, 0.1, 1.0, 10.0),
    "train.spcl_temperature": (0.03, 0.07, 0.1, 0.3, 1.0),
    "train.tokens": (1, 2, 4, 8),
    "train.transforms": (2, 4, 6),
    "train.blocks": (1, 2, 3),
    "train.learning_rate": (1e-5, 1e-4, 3e-4, 1e-3, 3e-3),
}

SPACES = Spaces(
    method="cm_arr",
    spaces={
        "loss_weights": LOSS_WEIGHTS,
        "network": NETWORK,
        "training": TRAINING,
        "all": {**LOSS_WEIGHTS, **NETWORK, **TRAINING},
    },
    default_space="loss_weights",
    ablation=ABLATION,
    sensitivity=SENSITIVITY,
    published=(
        *_printed(
            "iemocap",
            2,
            (69.74, 74.15, 54.06, 73.04, 75.51, 78.95, 79.86),
            (70.92, 75.38, 52.42, 74.09, 76.38, 79.70, 81.06),
        ),
        *_printed(
            "msp_improv",
            2,
            (63.57, 55.55, 62.04, 68.47, 63.84, 69.49, 72.37),
            (61.49, 50.87, 51.01, 65.88, 54.25, 66.85, 69.69),
        ),
    ),
    needs={},
)
