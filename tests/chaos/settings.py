"""The studies of the harness: every way of running arms, and what can be done to each."""

from __future__ import annotations

from chaos import Setting

#: Arms of four epochs, so that thousands fit into minutes; and patience with arms that are killed again and again.
QUICK = {"learn.epochs": 2, "dream.epochs": 1, "tune.epochs": 1}
#: Of all arms, by study. An arm takes longest where trainers are shared: whoever asks waits for those beside it.
SHARES = {"one at a time": 0.3, "three at a time": 0.4, "three nodes": 0.25, "shared trainers": 0.05}


def settings(arms: int, config: dict[str, float] | None = None) -> list[Setting]:
    """All of them, with about so many arms each.

    Args:
        arms: Search arms of each; reference, ablation and sensitivity arms come on top.
        config: Other changes to the method's settings than `QUICK`.
    """
    made = QUICK if config is None else config
    common = {"config": made, "failures": {"retries": 30}}
    drawn = {"trials": arms, "sampler": "random"}
    one = {"cpus_per_trial": 0.5, "concurrent": 1}
    return [
        # TPE and halving: the stream and the rungs have to be where they were.
        Setting(
            "one at a time",
            {**common, "search": {"trials": arms}, "resources": one},
            ("driver", "worker", "raylet", "driver", "stages"),
            ordered=True,
        ),
        Setting(
            "three at a time",
            {
                **common,
                "search": drawn,
                "scheduler": {"kind": "none"},
                "resources": {"cpus_per_trial": 0.5, "concurrent": 3},
            },
            ("driver", "worker", "raylet", "storage", "stages"),
        ),
        Setting(
            "shared trainers",
            {
                **common,
                "search": drawn,
                "scheduler": {"kind": "none"},
                "resources": {"cpus_per_trial": 0.5, "concurrent": 4, "side_by_side": 2},
            },
            ("driver", "worker", "trainer", "trainer"),
        ),
        Setting(
            "three nodes",
            {
                **common,
                "search": drawn,
                "scheduler": {"kind": "none"},
                "resources": {"cpus_per_trial": 1, "concurrent": 3},
            },
            ("node", "driver", "worker", "node"),
            nodes=True,
        ),
    ]
