"""Whether the latents still tell utterances apart, whether the modalities match, and what was rebuilt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from trainables.distribution_matching.config import Config
from trainables.distribution_matching.fit import Fit
from trainables.distribution_matching.model import Output, build, call
from trainables.epoch import Diagnostic, Embedding, Flag, Report, Tensors
from trainables.losses import median_distance, mmd, squared_distances
from trainables.prepared import Prepared
from trainables.stacking import Stack, seed_of

#: Latents spread less than this share of what the untrained encoder of the same row gives: collapsed.
COLLAPSED_BELOW = 0.1
#: Most utterances measured a row, and vectors kept for a figure.
MEASURED, KEPT = 1000, 400

MEASURES = {
    "latent_spread": (
        "Spread of latents",
        "standard deviation of z around its mean, root mean square over dimensions, on the dev part; in the latents' "
        "own unit. At 0 every utterance has one latent.",
    ),
    "latent_spread_ratio": (
        "Spread of latents against the untrained encoder",
        f"the same, divided by that of the row's encoder before training; below {COLLAPSED_BELOW:g} the latents have "
        "collapsed to a point, which the paper warns of, and the arm is flagged.",
    ),
    "latent_rank": (
        "Effective rank of latents",
        "exp of the entropy of the covariance's normalised eigenvalues: how many directions of z are in use, from 1 to "
        "the latent's size. Near 1 all utterances lie on a line.",
    ),
    "latent_mmd": (
        "MMD between modalities",
        "eq. 3 (unbiased, squared) between the latents of two modalities on the dev part, sigma the median distance; "
        "0 when the two distributions are equal, at most 2.",
    ),
    "pair_match": (
        "Pairs that match",
        "chance that an utterance's latents of two modalities lie nearer to each other than the first one's to another "
        "utterance's; 0.5 is what matching the distributions alone can give, 1 is best.",
    ),
    "reconstruction_r2": (
        "Variance rebuilt",
        "share of the dev features' variance around the train mean that the auto-encoder rebuilds; 1 is best, 0 is no "
        "better than the mean, below 0 is worse.",
    ),
    "labeled": ("Labeled utterances", "train utterances whose label was read."),
    "unlabeled": (
        "Unlabeled utterances",
        "utterances of eq. 8, those counted once that balancing repeats; 0 means that the arm was fully supervised.",
    ),
}


def measure(config: Config, fit: Fit, tensors: Tensors) -> Report:
    """Measure every row at its chosen epoch, on its dev part, or on its labeled part where nothing is held out.

    Not on test: a flag keeps an arm from being chosen, and test chooses nothing.

    Args:
        config: The settings.
        fit: What was trained.
        tensors: The chosen parameters.
    """
    prepared = fit.prepared
    trained = build(fit.network, prepared, fit.stage).load(tensors)
    untrained = build(fit.network, prepared, fit.stage)
    found: list[Diagnostic] = []
    for row in range(prepared.rows):
        index = _measured(fit, row, "dev")
        x, present = _inputs(prepared, row, index)
        after = _apply(trained, row, x, present, decode=config.train.alpha > 0)
        before = _apply(untrained, row, x, present)
        values = [*_spreads(after, before, present), *_matches(after, present), *_rebuilt(after, x, present)]
        values += _counts(fit, row)
        found += [Diagnostic(row=row, measure=name, label=label, value=float(each)) for name, label, each in values]
    return Report(tuple(found), _embeddings(fit, trained), flags(found))


def flags(found: Iterable[Diagnostic]) -> tuple[Flag, ...]:
    """``latents collapsed`` of the rows where those of any modality are at a point, or not finite."""
    ratios = [each for each in found if each.measure == "latent_spread_ratio"]
    rows = sorted({each.row for each in ratios if not each.value >= COLLAPSED_BELOW})
    return tuple(Flag(row, "latents collapsed") for row in rows)


def spread(z: Tensor) -> Tensor:
    """Standard deviation around the mean, root mean square over dimensions; shape (n, Z) to ()."""
    return (z - z.mean(0)).square().mean().sqrt()


def effective_rank(z: Tensor) -> Tensor:
    """exp of the entropy of the covariance's normalised eigenvalues, shape (n, Z) to (); 1 where all are equal.

    Source: Roy and Vetterli 2007, over the eigenvalues of the covariance.
    """
    variances = torch.linalg.svdvals(z - z.mean(0)).square()
    return torch.special.entr(variances / variances.sum().clamp(min=1e-30)).sum().exp()


def pair_match(first: Tensor, second: Tensor) -> Tensor:
    """Chance that row i of ``first`` is nearer to row i of ``second`` than to another of its rows; ties count half.

    Args:
        first: Shape (n, Z), n at least 2.
        second: Shape (n, Z).

    Returns:
        Shape (), in [0, 1].
    """
    distance = squared_distances(first, second)
    own = distance.diagonal()[:, None]
    wins = (own < distance).float() + 0.5 * (own == distance).float()
    return (wins.sum() - 0.5 * len(first)) / (len(first) * (len(first) - 1))


def _measured(fit: Fit, row: int, part: str, most: int = MEASURED) -> Tensor:
    """Utterances of a held-out part of a row, of its labeled part where that is empty; at most so many, shape (n,)."""
    prepared = fit.prepared
    fold, seed = prepared.task.rows[row]
    held_out = getattr(fold, part)
    held_out = held_out[prepared.known[held_out]]
    rng = np.random.default_rng(seed_of(fold.name, seed, fit.stage, "quality"))
    chosen = rng.permutation(held_out if len(held_out) else fit.parts.labeled[row])[:most]
    return torch.from_numpy(chosen).to(prepared.device)


def _inputs(prepared: Prepared, row: int, index: Tensor) -> tuple[Tensors, Tensors]:
    batch = prepared.held_out(index[None], np.arange(prepared.rows) == row)
    x, present = ({name: each[0] for name, each in batch[key].items()} for key in ("x", "present"))
    return x, present


def _apply(stack: Stack, row: int, x: Tensors, present: Tensors, *, decode: bool = False) -> Output:
    with torch.no_grad():
        return call(stack, {name: each[row] for name, each in stack.params.items()}, x, present, decode=decode)


#: Measure, label, value.
Values = Iterator[tuple[str, str, Tensor | int]]


def _spreads(after: Output, before: Output, present: Tensors) -> Values:
    for name, z in after.z.items():
        here = present[name]
        if here.sum() > 1:
            yield "latent_spread", name, spread(z[here])
            yield "latent_spread_ratio", name, spread(z[here]) / spread(before.z[name][here]).clamp(min=1e-12)
            yield "latent_rank", name, effective_rank(z[here])


def _matches(after: Output, present: Tensors) -> Values:
    for one, other in combinations(after.z, 2):
        both = present[one] & present[other]
        if both.sum() > 1:
            first, second = after.z[one][both], after.z[other][both]
            label = f"{one}, {other}"
            yield "latent_mmd", label, mmd(first, second, sigma=median_distance(torch.cat([first, second])))
            yield "pair_match", label, pair_match(first, second)


def _rebuilt(after: Output, x: Tensors, present: Tensors) -> Values:
    for name, rebuilt in after.rebuilt.items():
        here = present[name]
        if here.any():
            target = x[name][here]
            yield "reconstruction_r2", name, 1 - (rebuilt[here] - target).square().sum() / target.square().sum()


def _counts(fit: Fit, row: int) -> Values:
    yield "labeled", "", len(fit.parts.labeled[row])
    yield "unlabeled", "", fit.used(row)


def _embeddings(fit: Fit, trained: Stack) -> tuple[Embedding, ...]:
    """Latents of an arm's first row, of test utterances that have all modalities."""
    return tuple(each for row in fit.prepared.task.firsts for each in _latents(fit, trained, row))


def _latents(fit: Fit, trained: Stack, row: int) -> Iterator[Embedding]:
    index = _measured(fit, row, "test")
    x, present = _inputs(fit.prepared, row, index)
    whole = torch.stack(list(present.values())).all(0)
    labels = fit.prepared.labels[index][whole][:KEPT].cpu().numpy()
    for name, each in _apply(trained, row, x, present).z.items():
        vectors = each[whole][:KEPT].cpu().numpy()
        yield Embedding(row=row, kind=f"latent {name}", labels=labels, vectors=vectors)
