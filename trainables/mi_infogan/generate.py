"""Stage 2, section 3.2: an InfoGAN over the aligned features, W_y and W_t frozen (eq. 8-14)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.epoch import Epoch, Report, Tensors
from trainables.losses import info_nce
from trainables.mi_infogan import align, quality
from trainables.mi_infogan.config import Config, Generate
from trainables.mi_infogan.data import Data
from trainables.stacking import Draws, Means, Optimizer, Stack, map_rows, mlp, row_seeds
from trainables.task import Task
from trainables.training import Training

NAME = "generate"
#: A stack of networks and what trains it.
Player = tuple[Stack, Optimizer]


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def condition_dim(config: Config, data: Data) -> int:
    """Size of what the generator is conditioned on: the one-hot label, and the text where it is used."""
    return data.classes + (data.t.shape[-1] if config.generate.text else 0)


def generator(config: Generate, condition: int, feature_dim: int) -> nn.Module:
    """G of eq. 8 over the concatenation (z, c, t); the paper's is one linear layer."""
    return mlp((config.noise_dim + condition, *[config.width] * (config.depth - 1), feature_dim), activation=_leaky)


def discriminator(config: Generate, feature_dim: int, classes: int) -> nn.Module:
    """D of eq. 9, to a logit; the paper's is one linear layer. The conditional one has a logit for each class."""
    hidden = [config.discriminator_width] * (config.discriminator_depth - 1)
    return mlp((feature_dim, *hidden, classes if config.conditional else 1), activation=_leaky)


def build(config: Config, data: Data, feature_dim: int) -> tuple[Stack, Stack]:
    """Generators and discriminators, one each a row."""
    settings, condition = config.generate, condition_dim(config, data)
    made = []
    for name, make in (
        ("G", lambda: generator(settings, condition, feature_dim)),
        ("D", lambda: discriminator(settings, feature_dim, data.classes)),
    ):
        seeds = row_seeds(data.task, NAME, name)
        made.append(Stack(make, seeds).to(data.device))
    return made[0], made[1]


def conditions(config: Config, data: Data, index: Tensor, rows: slice = slice(None)) -> Tensor:
    """(c, t) of utterances of the given rows, shape (rows, B, condition)."""
    label = one_hot(data, index)
    return torch.cat([label, data.texts(index, rows)], -1) if config.generate.text else label


def one_hot(data: Data, index: Tensor) -> Tensor:
    """c of the given utterances, shape (R, B, C)."""
    return F.one_hot(data.labels[index], data.classes).float()


def discriminator_loss(D: Stack, params: Tensors, batch: Tensors) -> Tensor:
    """The discriminator's side of eq. 9, as a loss to be minimised, shape ().

    Args:
        D: Gives the module.
        params: Its parameters.
        batch: ``h`` (B, H), ``fake`` (B, H); where D is conditional, their one-hot ``label`` (B, C); and, with mixup,
            ``share`` (B,) of the real feature: D sees the mixture and must say the share (Zhang et al. 2018).
            Without it: -log D(h) - log(1 - D(fake)).
    """
    if "share" in batch:
        return F.binary_cross_entropy_with_logits(_judged(D, params, batch, _mixed(batch)), batch["share"])
    real, fake = (_judged(D, params, batch, batch[name]) for name in ("h", "fake"))
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def adversarial_loss(D: Stack, params: Tensors, batch: Tensors, *, saturating: bool = False) -> Tensor:
    """The generator's side of eq. 9, shape (): -log D of the fake (or mixed) features.

    Args:
        D: Gives the module.
        params: Its parameters.
        batch: As in `discriminator_loss`.
        saturating: As printed: log(1 - D), the discriminator's own loss with its sign turned.
    """
    logit = _judged(D, params, batch, _mixed(batch) if "share" in batch else batch["fake"])
    if not saturating:
        return F.softplus(-logit).mean()
    return -F.binary_cross_entropy_with_logits(logit, batch.get("share", torch.zeros_like(logit)))


def _judged(D: Stack, params: Tensors, batch: Tensors, features: Tensor) -> Tensor:
    """The discriminator's logit of each feature, of its own label where D is conditional; shape (B,)."""
    logits = D.call(params, features)
    return (logits * batch["label"]).sum(-1) if "label" in batch else logits[:, 0]


def _mixed(batch: Tensors) -> Tensor:
    return torch.lerp(batch["fake"], batch["h"], batch["share"][:, None])


def information_losses(heads: Tensors, batch: Tensors, *, temperature: float | Tensor) -> Tensors:
    """L_Iy (eq. 10, 11) and L_It (eq. 12, 13) of generated features under the frozen layers, shape () each.

    Args:
        heads: W_y, b_y and, with text, W_t, b_t.
        batch: ``fake`` (B, H), ``y`` (B,), ``t`` (B, K), ``has_text`` (B,).
        temperature: tau of eq. 13.
    """
    fake, t = batch["fake"], batch["t"]
    terms = {"I_y": F.cross_entropy(align.linear(heads, "W_y", fake), batch["y"])}
    if t.shape[-1]:
        projected = align.linear(heads, "W_t", fake)
        terms["I_t"] = info_nce(t, projected, temperature=temperature, present=batch["has_text"])
    return terms


def generator_losses(
    config: Config, G: Stack, D: Stack, params: Tensors, critic: Tensors, heads: Tensors, batch: Tensors
) -> Tensors:
    """The terms of eq. 14 on the generator's side for one row and batch; a weight of 0 skips its term."""
    settings = config.generate
    batch = {**batch, "fake": G.call(params, batch["input"])}
    terms = {"adversarial": adversarial_loss(D, critic, batch, saturating=settings.adversarial == "saturating")}
    information = information_losses(heads, batch, temperature=config.align.temperature)
    weights = {"I_y": settings.lambda_y, "I_t": settings.lambda_t}
    return terms | {name: term for name, term in information.items() if weights[name] > 0}


def total(config: Generate, terms: Tensors) -> Tensor:
    """Eq. 14 as the generator minimises it: the information losses are added (see `method`, deviations)."""
    weights = {"adversarial": 1.0, "I_y": config.lambda_y, "I_t": config.lambda_t}
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(0)


def run(config: Config, task: Task, artifacts: Mapping[str, Tensors], state: Tensors | None = None) -> Training:
    """Train every row's generator against its discriminator; yield after each epoch.

    Its artifact: the generators after the last epoch. On that epoch their quality is measured.
    """
    data = Data.of(config, task, artifacts[align.NAME])
    frozen = align.Frozen.load(config, data, artifacts[align.NAME])
    rate, beta1 = (config.generate.across(name) for name in ("learning_rate", "beta1"))
    stacks = build(config, data, frozen.h.shape[-1])
    G, D = ((stack, Optimizer([stack], learning_rate=rate, beta1=beta1)) for stack in stacks)
    return Contest(config, data, frozen, G, D).resumed(state)


class Contest(Training):
    """Generators against discriminators, under way."""

    def __init__(self, config: Config, data: Data, frozen: align.Frozen, G: Player, D: Player) -> None:
        super().__init__(NAME, config.generate.epochs, data.task.arms)
        self._config, self._data, self._frozen, self._players = config, data, frozen, {"G": G, "D": D}

    def epoch(self, index: np.ndarray) -> Epoch:
        """Train; measure at the end."""
        G, D = self._players.values()
        terms, ends = _epoch(self._config, self._data, self._frozen, (G, D), index), self.ends(index)
        report = _measure(self._config, self._data, self._frozen, G[0]) if ends else Report()
        return Epoch(
            stage=NAME,
            index=int(index[0]),
            total=self.epochs,
            terms=terms,
            snapshot=self.state,
            artifact=G[0].state("G/") if ends else None,
            diagnostics=report.diagnostics,
            embeddings=report.embeddings,
            flags=report.flags,
        )

    def tensors(self) -> Tensors:
        """Parameters and Adam's state of both players."""
        parts = [
            stack.state(f"{name}/") | optimizer.state(f"adam.{name}/")
            for name, (stack, optimizer) in self._players.items()
        ]
        return {name: tensor for part in parts for name, tensor in part.items()}

    def load(self, state: Tensors) -> None:
        """Take up a saved state."""
        for name, (stack, optimizer) in self._players.items():
            stack.load(state, f"{name}/")
            optimizer.load(state, f"adam.{name}/")


def _measure(config: Config, data: Data, frozen: align.Frozen, G: Stack) -> Report:
    temperatures = data.vectors(config.align, "temperature")["temperature"]

    def terms(heads: Tensors, batch: Tensors, temperature: Tensor) -> Tensors:
        return information_losses(heads, batch, temperature=temperature)

    return quality.measure(
        data,
        frozen,
        sample=lambda index, draws: sample(config, data, G, index, draws),
        information=lambda batch: map_rows(terms, frozen.heads, batch, temperatures),
    )


def _epoch(
    config: Config, data: Data, frozen: align.Frozen, players: tuple[Player, Player], index: np.ndarray
) -> dict[str, np.ndarray]:
    (G, generator_step), (D, discriminator_step) = players
    draws, means, settings = Draws(data.task, NAME, index, device=data.device), Means(), config.generate
    weighed = settings.model_copy(update=data.vectors(settings, "lambda_y", "lambda_t"))
    temperatures = data.vectors(config.align, "temperature")["temperature"]

    def row(params: Tensors, critic: Tensors, heads: Tensors, batch: Tensors, temperature: Tensor) -> Tensors:
        align_ = config.align.model_copy(update={"temperature": temperature})
        return generator_losses(config.model_copy(update={"align": align_}), G, D, params, critic, heads, batch)

    for chosen in draws.batches(data.train, data.steps(settings.batch_size), settings.batch_size).unbind(1):
        batch = data.pairs(chosen) | {"h": frozen.h[frozen.row, chosen]}
        noise = draws.normal(chosen.shape[1], settings.noise_dim)
        batch["input"] = torch.cat([noise, conditions(config, data, chosen)], -1)
        if settings.conditional:
            batch["label"] = one_hot(data, chosen)
        if settings.mixup > 0:
            batch["share"] = draws.beta(settings.mixup, chosen.shape[1])
        seen = batch | {"fake": G.apply(batch["input"]).detach()}
        against = map_rows(partial(discriminator_loss, D), D.params, seen)
        discriminator_step.step(against)
        terms = map_rows(row, G.params, D.params, frozen.heads, batch, temperatures)
        generator_step.step(total(weighed, terms))
        means.add({"discriminator": against, **terms})
    return means.result()


def sample(config: Config, data: Data, G: Stack, index: Tensor, draws: Draws) -> Tensor:
    """Features generated for the conditions of the given utterances, shape (R, n) to (R, n, H); eq. 8."""
    noise = draws.normal(index.shape[1], config.generate.noise_dim)

    def of(rows: slice) -> Tensor:
        given = torch.cat([noise[rows], conditions(config, data, index[rows], rows)], -1)
        return map_rows(G.call, {name: tensor[rows] for name, tensor in G.params.items()}, given)

    # Arm by arm: what a whole pool is generated from is larger than what is generated.
    size = data.rows // data.task.arms
    with torch.no_grad():
        return torch.cat([of(slice(first, first + size)) for first in data.task.firsts])
