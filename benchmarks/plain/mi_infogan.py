"""Ahn et al. 2025 (arXiv 2510.10078), all three stages, for one fold and one seed: ordinary modules and optimizers.

Written from the paper's equations and the documentation, not from `trainables.mi_infogan`, with which it shares no
code but the function that makes seeds. It draws the same random numbers in the same order (initial weights, batches,
dropout, noise), so its dev UAR after each epoch and its test counts can be compared with ours number by number; and
a mistake in the trainer shows here. Settings that no arm of the compared study uses are refused.

What a user who cares for speed would do is done: tensors are indexed (no loader), the generator's forward pass serves
both players, random numbers of an epoch go to a GPU at once, dev is judged with one wait an epoch, and test once a
stage, at the end. Generation quality is not measured, which ours does for every arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.stacking import seed_of

Settings = Mapping[str, Any]
#: Stages in order; the generator's epochs classify nothing.
STAGES = ("align", "generate", "augment")


@dataclass(frozen=True)
class Part:
    """One fold's tensors; N utterances.

    Attributes:
        name: Of the fold; part of every seed.
        x: Standardised audio, shape (N, D); 0 where missing.
        t: Standardised, PCA-reduced text, shape (N, K); 0 where missing; K is 0 without text.
        has_text: 1 or 0, shape (N,).
        y: Classes, shape (N,).
        train: Labeled utterances with audio to train on.
        dev: To choose epochs on.
        test: To be counted at the chosen epoch.
        classes: C.
        longest: Train utterances of the largest fold: all folds take as many steps an epoch as that one.
    """

    name: str
    x: Tensor
    t: Tensor
    has_text: Tensor
    y: Tensor
    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    classes: int
    longest: int


@dataclass
class Classified:
    """What came of a classifying stage of one row: dev UAR after each epoch, the best epoch, test counts there."""

    dev: list[float] = field(default_factory=list)
    epoch: int = 0
    test: list[list[int]] = field(default_factory=list)


class Encoder(nn.Module):
    """Eq. 1: a small network over stored features, normalised at the end."""

    def __init__(self, audio: int, hidden: list[int], size: int) -> None:
        super().__init__()
        widths = [audio, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.out = nn.Linear(widths[-1], size)
        self.norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.hidden:
            x = layer(x).relu()
        return self.norm(self.out(x if mask is None else x * mask))


class Baseline(nn.Module):
    """Encoder, emotion classifier W_y and text projection W_t, eq. 1, 2 and 6."""

    def __init__(self, part: Part, settings: Settings) -> None:
        super().__init__()
        text = part.t.shape[1]
        size = text or settings["feature_dim"] or 128
        self.f_a = Encoder(part.x.shape[1], list(settings["hidden"]), size)
        self.W_y = nn.Linear(size, part.classes)
        self.W_t = nn.Linear(size, text) if text else None


def train_row(part: Part, seed: int, config: Settings, epochs: Mapping[str, int], clock: dict[str, float]) -> Settings:
    """Train one fold and seed.

    Args:
        part: The fold.
        seed: The seed.
        config: All settings of the arm.
        epochs: Epochs to train by stage; a stage that is not in it is not begun.
        clock: Seconds by stage are added to it.

    Returns:
        `Classified` by stage.
    """
    _check(config)
    found: dict[str, Classified] = {}
    with _timed(clock, "align", part.x.device):
        baseline, found["align"] = align(part, seed, config["align"], epochs["align"])
    if "generate" not in epochs and "augment" not in epochs:
        return found
    with torch.no_grad():
        h = baseline.f_a(part.x)
    G = None
    if "generate" in epochs:
        with _timed(clock, "generate", part.x.device):
            G = generate(part, seed, config, baseline, h, epochs["generate"])
    if "augment" in epochs:
        with _timed(clock, "augment", part.x.device):
            found["augment"] = augment(part, seed, config, baseline, h, G, epochs["augment"])
    return found


def align(part: Part, seed: int, settings: Settings, epochs: int) -> tuple[Baseline, Classified]:
    """Stage 1, eq. 1-7; the baseline at its best dev epoch."""
    device = part.x.device
    model = _made(part, seed, ("align", "init"), lambda: Baseline(part, settings))
    optimizer = _adam(model, settings["learning_rate"], weight_decay=settings["weight_decay"])
    weights = class_weights(part.y[part.train], part.classes) if settings["class_weights"] else None
    size, width = settings["batch_size"], settings["hidden"][-1] if settings["hidden"] else 0
    kept = 1 - settings["dropout"]

    def one(epoch: int) -> None:
        torch_rng, rng = _generators(part, seed, "align", epoch)
        batches = _batches(rng, part.train, part.longest, size, device)
        masks: Iterable[Tensor | None] = [None] * len(batches)
        if width and kept < 1:
            masks = _ahead(lambda: (torch.rand(size, width, generator=torch_rng) < kept) / kept, len(batches), device)
        for batch, mask in zip(batches, masks, strict=True):
            h, t, present = model.f_a(part.x[batch], mask), part.t[batch], part.has_text[batch]
            loss = F.cross_entropy(model.W_y(h), part.y[batch], weight=weights)
            if settings["alpha"] and model.W_t is not None:
                loss = loss + settings["alpha"] * info_nce(t, h, settings["temperature"], present)
            if settings["beta"] and model.W_t is not None:
                loss = loss + settings["beta"] * info_nce(t, model.W_t(h), settings["temperature"], present)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    logits = lambda index: model.W_y(model.f_a(part.x[index]))  # noqa: E731
    return model, _fit(part, model, one, logits, epochs)


def generate(part: Part, seed: int, config: Settings, baseline: Baseline, h: Tensor, epochs: int) -> nn.Module:
    """Stage 2, eq. 8-14; the generator after the last epoch."""
    settings, device = config["generate"], part.x.device
    noise, size = settings["noise_dim"], settings["batch_size"]
    inputs = noise + part.classes + (part.t.shape[1] if settings["text"] else 0)
    G = _made(part, seed, ("generate", "G"), lambda: _leaky(inputs, settings["depth"], settings["width"], h.shape[1]))
    D = _made(
        part,
        seed,
        ("generate", "D"),
        lambda: _leaky(
            h.shape[1],
            settings["discriminator_depth"],
            settings["discriminator_width"],
            part.classes if settings["conditional"] else 1,
        ),
    )
    for_G, for_D = (_adam(each, settings["learning_rate"], beta1=settings["beta1"]) for each in (G, D))
    ours = list(G.parameters())
    given = _conditions(part, settings)
    for epoch in range(1, epochs + 1):
        torch_rng, rng = _generators(part, seed, "generate", epoch)
        batches = _batches(rng, part.train, part.longest, size, device)
        z = _ahead(lambda rng=torch_rng: torch.randn(size, noise, generator=rng), len(batches), device)
        shares: Iterable[Tensor | None] = [None] * len(batches)
        if mixup := settings["mixup"]:
            draw = lambda rng=rng, mixup=mixup: torch.from_numpy(rng.beta(mixup, mixup, size).astype(np.float32))  # noqa: E731
            shares = _ahead(draw, len(batches), device)
        for batch, noise_of, share in zip(batches, z, shares, strict=True):
            real, y, t = h[batch], part.y[batch], part.t[batch]
            fake = G(torch.cat([noise_of, given[batch]], 1))
            judge = lambda features, y=y: _judged(D(features), y, settings["conditional"])  # noqa: E731
            loss = _discriminator_loss(judge, real, fake.detach(), share)
            for_D.zero_grad()
            loss.backward()
            for_D.step()
            seen = fake if share is None else torch.lerp(fake, real, share[:, None])
            loss = F.softplus(-judge(seen)).mean()
            if settings["lambda_y"]:
                loss = loss + settings["lambda_y"] * F.cross_entropy(baseline.W_y(fake), y)
            if settings["lambda_t"] and baseline.W_t is not None:
                tau, present = config["align"]["temperature"], part.has_text[batch]
                loss = loss + settings["lambda_t"] * info_nce(t, baseline.W_t(fake), tau, present)
            for_G.zero_grad()
            loss.backward(inputs=ours)
            for_G.step()
    return G


def augment(
    part: Part, seed: int, config: Settings, baseline: Baseline, h: Tensor, G: nn.Module | None, epochs: int
) -> Classified:
    """Stage 3, section 3.3, unimodal: the baseline's own layer trained on real features and as many added ones."""
    settings, device, count = config["augment"], part.x.device, len(part.train)
    model = nn.Linear(h.shape[1], part.classes).to(device)
    model.load_state_dict(baseline.W_y.state_dict())
    optimizer = _adam(model, settings["learning_rate"])
    real = h[part.train]
    y = part.y[part.train]
    added, other, share = _added(part, seed, config, h, G)
    features, labels = torch.cat([real, added]), torch.cat([y, y])
    weights = class_weights(labels, part.classes) if settings["class_weights"] else None
    targets = None
    if other is not None:
        one_hot = F.one_hot(labels, part.classes).float()
        mixed = torch.lerp(F.one_hot(other, part.classes).float(), one_hot[count:], share[:, None])
        targets = torch.cat([one_hot[:count], mixed])
    size, kept = settings["batch_size"], 1 - settings["dropout"]

    def one(epoch: int) -> None:
        torch_rng, rng = _generators(part, seed, "augment", epoch)
        batches = _batches(rng, np.arange(2 * count), 2 * part.longest, size, device)
        for batch in batches:
            inputs = features[batch]
            if kept < 1:
                mask = (torch.rand(*inputs.shape, generator=torch_rng) < kept) / kept
                inputs = inputs * mask.to(device)
            logits = model(inputs)
            if targets is None:
                loss = F.cross_entropy(logits, labels[batch], weight=weights)
            else:
                weighed = targets[batch] if weights is None else targets[batch] * weights
                loss = -(weighed * logits.log_softmax(1)).sum() / weighed.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return _fit(part, model, one, lambda index: model(h[index]), epochs)


def _added(
    part: Part, seed: int, config: Settings, h: Tensor, G: nn.Module | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What stands beside the real features, one for each train utterance; of mixtures, the partners' labels and shares.

    Numbers are drawn for twice the largest fold's train part, one a place of the pool, whether or not it is used:
    a pool has real places first, so those of the added half come later in the stream.
    """
    settings, count, device = config["augment"], len(part.train), part.x.device
    torch_rng, rng = _generators(part, seed, "augment", "noise", 0)
    places = 2 * part.longest
    half = slice(count, 2 * count)
    if settings["source"] == "generated":
        z = torch.randn(places, config["generate"]["noise_dim"], generator=torch_rng)[half].to(device)
        with torch.no_grad():
            return G(torch.cat([z, _conditions(part, config["generate"])[part.train]], 1)), None, None
    real = h[part.train]
    if settings["source"] == "noise":
        noise = torch.randn(places, h.shape[1], generator=torch_rng)[half].to(device)
        return real + settings["noise"] * real.std(0) * noise, None, None
    if settings["source"] == "mixup":
        share = rng.beta(settings["mixup"], settings["mixup"], places)[half].astype(np.float32)
        partner = torch.from_numpy(_endless(rng, part.train, places)[half]).to(device)
        shares = torch.from_numpy(share).to(device)
        return torch.lerp(h[partner], real, shares[:, None]), part.y[partner], shares
    return real, None, None


def info_nce(anchor: Tensor, candidate: Tensor, tau: float, present: Tensor) -> Tensor:
    """Eq. 5, 6 and 13: which of the batch's candidates is the anchor's own; mean over the anchors there are."""
    cosine = F.normalize(anchor, dim=1) @ F.normalize(candidate, dim=1).T
    each = F.cross_entropy(cosine / tau, torch.arange(len(anchor), device=anchor.device), reduction="none")
    return (each * present).sum() / present.sum().clamp(min=1)


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Inverse to the class counts, section 4.2.3; their mean over the utterances is 1."""
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
    return torch.where(counts > 0, weights, 1.0)


def _discriminator_loss(judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor | None) -> Tensor:
    """Eq. 9; of mixtures, the discriminator must say the share of the real feature."""
    if share is not None:
        return F.binary_cross_entropy_with_logits(judge(torch.lerp(fake, real, share[:, None])), share)
    return F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean()


def _judged(logits: Tensor, y: Tensor, conditional: bool) -> Tensor:
    """One logit a feature; the conditional discriminator has one for each class, and the own one counts."""
    return logits.gather(1, y[:, None])[:, 0] if conditional else logits[:, 0]


def _conditions(part: Part, settings: Settings) -> Tensor:
    """(c, t) of every utterance, eq. 8; unlabeled ones are never asked for."""
    label = F.one_hot(part.y.clamp(min=0), part.classes).float()
    return torch.cat([label, part.t], 1) if settings["text"] else label


def _fit(
    part: Part, model: nn.Module, one: Callable[[int], None], logits: Callable[[np.ndarray], Tensor], epochs: int
) -> Classified:
    """Train epochs, keep the model of the first best one on dev, count test with it."""
    found, best = Classified(), {}
    for epoch in range(1, epochs + 1):
        one(epoch)
        with torch.no_grad():
            score = uar(_counts(part, part.dev, logits))
        if score > max(found.dev, default=-1.0):
            best, found.epoch = deepcopy(model.state_dict()), epoch
        found.dev.append(score)
    model.load_state_dict(best)
    model.requires_grad_(False)
    found.test = _counts(part, part.test, logits).tolist()
    return found


def _counts(part: Part, index: np.ndarray, logits: Callable[[np.ndarray], Tensor]) -> np.ndarray:
    """Confusion counts, truth by prediction."""
    pairs = part.y[index] * part.classes + logits(index).argmax(1)
    return torch.bincount(pairs, minlength=part.classes**2).view(part.classes, -1).cpu().numpy()


def uar(counts: np.ndarray) -> float:
    """Mean recall over the classes there are."""
    support = counts.sum(1)
    return float((counts.diagonal()[support > 0] / support[support > 0]).mean())


def _leaky(inputs: int, depth: int, width: int, outputs: int) -> nn.Module:
    sizes = [inputs, *[width] * (depth - 1), outputs]
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def _made(part: Part, seed: int, purpose: tuple[str, str], make: Callable[[], nn.Module]) -> Any:
    torch.manual_seed(seed_of(part.name, seed, *purpose))
    return make().to(part.x.device)


def _adam(model: nn.Module, rate: float, *, weight_decay: float = 0.0, beta1: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(beta1, 0.999), weight_decay=weight_decay, fused=FUSED)


#: torch's fused Adam, which not many know works on CPUs: the plain forms have it.
FUSED = True


def _generators(part: Part, seed: int, *purpose: object) -> tuple[torch.Generator, np.random.Generator]:
    number = seed_of(part.name, seed, *purpose)
    return torch.Generator().manual_seed(number), np.random.default_rng(number)


def _batches(
    rng: np.random.Generator, items: np.ndarray, longest: int, size: int, device: torch.device
) -> list[Tensor]:
    """As many batches as cover ``longest`` items; fewer items are shuffled again until they fill them."""
    steps = -(-longest // size)
    return list(torch.from_numpy(_endless(rng, items, steps * size)).to(device).split(size))


def _endless(rng: np.random.Generator, items: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rng.permutation(items) for _ in range(-(-count // len(items)))])[:count]


def _ahead(draw: Callable[[], Tensor], steps: int, device: torch.device) -> Iterator[Tensor]:
    """One draw a step; for a GPU all of them at once, so that no step waits for a copy."""
    if device.type == "cpu":
        return (draw() for _ in range(steps))
    return iter(torch.stack([draw() for _ in range(steps)]).to(device))


class _timed:
    """Adds the seconds of a block to a stage's; a GPU is waited for on both sides."""

    def __init__(self, clock: dict[str, float], stage: str, device: torch.device) -> None:
        self._clock, self._stage, self._device = clock, stage, device

    def __enter__(self) -> None:
        self._begun = now(self._device)

    def __exit__(self, *error: object) -> None:
        self._clock[self._stage] = self._clock.get(self._stage, 0.0) + now(self._device) - self._begun


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _check(config: Settings) -> None:
    refused = {
        "augment.inputs": config["augment"]["inputs"] != "audio",
        "augment.balance": config["augment"]["balance"],
        "augment.redraw": config["augment"]["redraw"],
        "generate.adversarial": config["generate"]["adversarial"] != "non-saturating",
    }
    wrong = [path for path, found in refused.items() if found]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not in the plain form, which knows the unimodal study only")
