"""The only stage: one convex problem a fold, solved by scikit-learn; no epochs, nothing random."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from trainables import conditions
from trainables.epoch import Diagnostic, Epoch, Tensors
from trainables.linear.config import Config, Fit
from trainables.losses import weighted_cross_entropy
from trainables.prepared import Prepared, concatenated
from trainables.scoring import Part, score
from trainables.selection import Best
from trainables.task import Task

NAME = "fit"


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Iterator[Epoch]:
    """Solve every fold's problem; yield once, as if after one epoch.

    Its artifact: the coefficients of each row and the normalisers.
    """
    del artifacts, state  # the only stage, of a single epoch: nothing comes before it
    data = Prepared.make(task, conditions.chosen(config.fit.inputs, task.corpus.features))
    params, steps = _solved(config.fit, data)

    def logits(part: Part, rows: np.ndarray) -> Tensors:
        x = data.held_out(part.index[rows], rows)["x"]
        return {conditions.name(data.modalities): linear(_of(params, rows), concatenated(x))}

    scores = score(Best(data.rows), data.part("dev"), data.part("test"), logits, {})
    yield Epoch(
        stage=NAME,
        index=1,
        total=1,
        confusions=scores.confusions,
        speakers=scores.speakers,
        terms=_terms(config.fit, data, params),
        artifact={name: tensor.cpu() for name, tensor in params.items()} | data.state(),
        diagnostics=tuple(Diagnostic(row=row, measure="steps", value=float(n)) for row, n in enumerate(steps)),
    )


def linear(params: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Logits of every row, shape (R, n, D) to (R, n, C)."""
    return x @ params["weight"].mT + params["bias"][:, None]


def coefficients(x: np.ndarray, labels: np.ndarray, classes: int, config: Fit) -> tuple[np.ndarray, np.ndarray, int]:
    r"""Minimise :math:`C \sum_i w_{y_i} (-\log p(y_i \mid x_i)) + \frac12 \lVert W \rVert^2`; the bias is free.

    Args:
        x: Standardised features, shape (N, D).
        labels: Class indices, shape (N,), of two classes or more.
        classes: How many classes there are; one that no label has is never predicted (its bias is -inf).
        config: C, class weights and the solver's steps.

    Returns:
        Weights (classes, D), biases (classes,), and the steps taken.
    """
    weighting = "balanced" if config.class_weights else None
    model = LogisticRegression(C=config.C, class_weight=weighting, max_iter=config.max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the measure `steps` says so for every row
        model.fit(x.astype(np.float64), labels)
    weight, bias = np.zeros((classes, x.shape[1])), np.full(classes, -np.inf)
    # Of two classes scikit-learn gives the second one's margin only.
    seen = model.classes_ if len(model.coef_) > 1 else model.classes_[1:]
    bias[model.classes_] = 0.0
    weight[seen], bias[seen] = model.coef_, model.intercept_
    return weight, bias, int(model.n_iter_.max())


def _solved(config: Fit, data: Prepared) -> tuple[Tensors, np.ndarray]:
    """Coefficients of every row and the steps taken.

    Fold by fold in a loop, as scikit-learn cannot be stacked: 0.1 s a fold of 4000 utterances. Seeds change nothing,
    so a fold's rows are copies of one solution.
    """
    seeds, labels, found = len(data.task.seeds), data.labels.cpu().numpy(), []
    for row in range(0, data.rows, seeds):
        x = _train_inputs(data, row).cpu().numpy()
        found.append(coefficients(x, labels[data.train[row]], data.classes, config))
    weight, bias, steps = (np.repeat(np.stack(part), seeds, axis=0) for part in zip(*found, strict=True))
    made = {"weight": weight, "bias": bias}
    return {name: torch.from_numpy(each.astype(np.float32)).to(data.device) for name, each in made.items()}, steps


def _train_inputs(data: Prepared, row: int) -> Tensor:
    fold = data.fold[row, 0]
    return concatenated({name: features[fold, data.train[row]] for name, features in data.features.items()})


def _terms(config: Fit, data: Prepared, params: Tensors) -> dict[str, np.ndarray]:
    """The two terms of the objective on the train rows: mean cross entropy, and half the squared norm."""
    weights, cross_entropy = data.weights(config.class_weights), []
    for row, train in enumerate(data.train):
        logits = linear(_of(params, np.array([row])), _train_inputs(data, row))[0]
        cross_entropy.append(weighted_cross_entropy(logits, data.labels[train], weights[row]))
    penalty = params["weight"].square().sum((1, 2)) / 2
    return {"ser": torch.stack(cross_entropy).cpu().numpy(), "penalty": penalty.cpu().numpy()}


def _of(params: Tensors, rows: np.ndarray) -> Tensors:
    return {name: tensor[torch.from_numpy(rows)] for name, tensor in params.items()}
