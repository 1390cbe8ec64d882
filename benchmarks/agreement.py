"""Whether two forms reached the same scores with the same arms; if not, comparing their speed means nothing.

Both draw the same random numbers, but add floats up in another order, and what that changes grows with every step:
on IEMOCAP all rows agree to the last count for about four epochs, then one utterance and another at a decision border
falls on the other side, and a row whose best dev epochs are nearly equal may choose another one. So the first epochs
must be the same, and of an arm's end the means over its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: Most that an arm's mean dev UAR at the chosen epochs may differ, and its mean test UAR there; in UAR, [0, 1].
DEV, TEST = 0.005, 0.01
#: So many epochs of the first stage must give the same dev UAR, in this share of the rows (arm, fold, seed) at least.
FIRST, EQUAL = 2, 0.9
#: The first stage; later ones begin from an epoch of it that a close call may have chosen.
STAGE = "align"


def compare(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare arms, each with ``arm`` and ``stages`` as `plain.arm.train_arm` gives them.

    Args:
        ours: As recorded; all that are in ``theirs`` at least.
        theirs: Of the other form.

    Returns:
        ``rows`` compared (arm, stage, fold, seed), ``equal`` (share of them that are the same in every epoch and
        count), ``first`` (share of rows that begin the same), ``dev`` and ``test`` (largest difference of an arm's
        mean), and ``void`` (sentences; empty where the comparison stands).
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
    same, begun = (
        np.concatenate([np.zeros(0, dtype=bool), *each])
        for each in ([each[4] for each in differences], [_begun(a, b) for _, name, a, b in pairs if name == STAGE])
    )
    if not len(begun):
        void.append("nothing was compared")
    elif begun.mean() < EQUAL:
        void.append(f"only {begun.mean():.0%} of the rows have the same dev UAR in the first {FIRST} epochs")
    return {
        "rows": len(same),
        "equal": float(same.mean()) if len(same) else 0.0,
        "first": float(begun.mean()) if len(begun) else 0.0,
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
    same = _equal(*dev).all(0) & (test[0] == test[1]).all((1, 2))
    best = [each.max(0).mean() for each in dev]
    recall = [_uar(each).mean() for each in test]
    return abs(best[0] - best[1]), abs(recall[0] - recall[1]), same


def _begun(first: Mapping[str, Any], second: Mapping[str, Any]) -> np.ndarray:
    """Which rows have the same dev UAR in the first epochs."""
    return _equal(*(np.array(each["dev"][:FIRST]) for each in (first, second))).all(0)


def _equal(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    # Recorded curves are in single precision.
    return np.isclose(first, second, rtol=0, atol=1e-6)


def _uar(counts: np.ndarray) -> np.ndarray:
    support = counts.sum(-1)
    hits = counts.diagonal(axis1=-2, axis2=-1)
    return (hits / support.clip(1)).sum(-1) / (support > 0).sum(-1)
