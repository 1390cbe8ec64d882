"""Whether two forms reached the same scores with the same arms; if not, comparing their speed means nothing.

Both draw the same random numbers, so most rows agree to the last count. They add floats up in another order, and what
that changes grows with every step: a few utterances at a decision border fall on the other side, and a row whose
best dev epochs are nearly equal may choose another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Most that an arm's mean dev UAR at the chosen epochs may differ, and its mean test UAR there; in UAR, [0, 1].
DEV, TEST = 0.005, 0.01
#: Least share of all rows (arm, stage, fold, seed) whose dev UAR and test counts are the same to the last.
EQUAL = 0.5


def compare(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare arms, each with ``arm`` and ``stages`` as `plain.arm.train_arm` gives them.

    Args:
        ours: As recorded; all that are in ``theirs`` at least.
        theirs: Of the other form.

    Returns:
        ``rows`` compared, ``equal`` (share), ``dev`` and ``test`` (largest difference of an arm's mean), ``void``
        (sentences; empty where the comparison stands).
    """
    known = {arm["arm"]: arm for arm in ours}
    pairs = [(arm["arm"], name, known[arm["arm"]]["stages"].get(name), got) for arm, name, got in _stages(theirs)]
    void = [f"{arm}, stage {name}: another number of epochs" for arm, name, a, b in pairs if not _fits(a, b)]
    void += [
        f"{arm}: stages {sorted(known[arm]['stages'])} here, {sorted(names)} there"
        for arm, names in ((arm["arm"], arm["stages"]) for arm in theirs)
        if set(names) != set(known[arm]["stages"])
    ]
    pairs = [pair for pair in pairs if _fits(pair[2], pair[3])]
    differences = [(arm, name, *_differences(a, b)) for arm, name, a, b in pairs]
    for arm, name, dev, test, _ in differences:
        if dev > DEV or test > TEST:
            void.append(f"{arm}, stage {name}: mean dev UAR differs by {dev:.4f}, mean test UAR by {test:.4f}")
    same = np.concatenate([each[4] for each in differences]) if differences else np.zeros(0, dtype=bool)
    if not len(same):
        void.append("nothing was compared")
    elif same.mean() < EQUAL:
        void.append(f"only {same.mean():.0%} of the rows are equal to the last count")
    return {
        "rows": len(same),
        "equal": float(same.mean()) if len(same) else 0.0,
        "dev": max((each[2] for each in differences), default=0.0),
        "test": max((each[3] for each in differences), default=0.0),
        "void": void,
    }


def _stages(arms: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    return [(arm, name, stage) for arm in arms for name, stage in arm["stages"].items()]


def _fits(first: Mapping[str, Any] | None, second: Mapping[str, Any]) -> bool:
    return first is not None and np.shape(first["dev"]) == np.shape(second["dev"])


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[float, float, np.ndarray]:
    """Of mean dev UAR, of mean test UAR, and which rows are the same."""
    dev = [np.array(each["dev"]) for each in (first, second)]
    test = [np.array(each["test"]) for each in (first, second)]
    # Recorded curves are in single precision.
    same = np.isclose(dev[0], dev[1], rtol=0, atol=1e-6).all(0) & (test[0] == test[1]).all((1, 2))
    best = [each.max(0).mean() for each in dev]
    recall = [_uar(each).mean() for each in test]
    return abs(best[0] - best[1]), abs(recall[0] - recall[1]), same


def _uar(counts: np.ndarray) -> np.ndarray:
    support = counts.sum(-1)
    hits = counts.diagonal(axis1=-2, axis2=-1)
    return (hits / support.clip(1)).sum(-1) / (support > 0).sum(-1)
