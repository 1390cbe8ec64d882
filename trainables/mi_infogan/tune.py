"""Stage 1 over recordings and transcripts: pretrained encoders, fine-tuned in full, by LoRA, or left as they are.

A frozen encoder's vectors are features like stored ones: all that follows is the feature form, number for number. An
encoder that is tuned takes the place of f_a (eq. 1): its pooled output, projected to the text's size where the two
differ, and a LayerNorm, are h. The rows (folds x seeds) take turns in one model, an epoch each.

A text encoder is at rest (eq. 4), or learns the emotion from the transcript by LoRA in the same steps (term ``text``),
as section 4.2.2 has it for Llama 2; the paper does so before this stage. Eq. 5 and 6 do not move it: for them t is
given. t is standardised as in the feature form, by what the encoder makes of the train rows before it is tuned.

Decisions where the paper is silent: Adam with decoupled weight decay at one step size for encoder and heads, no
schedule; recordings longer than `align.tuning.max_seconds` are cropped; the layer drop and the masking that wav2vec 2.0
is pretrained with are off; an utterance without a recording is heard as silence where it must be classified.

A batch is `align.batch_size` utterances, of all workers together, so that a config means the same on one GPU and on
eight. With `align.tuning.accumulate` it is encoded in parts: eq. 3 is still a mean over the batch, but the negatives of
eq. 5 and 6 are those of the part, fewer than without.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.corpus import Corpus
from trainables.encoders import AudioEncoder, Batch, TextEncoder, hub
from trainables.encoders.module import Encoder
from trainables.epoch import Epoch, Tensors
from trainables.errors import InputError
from trainables.finetune import adapters, folder
from trainables.finetune.rows import Rows
from trainables.finetune.steps import Step, ahead, padded, steps_of
from trainables.finetune.vectors import (
    audio_encoder,
    audio_vectors,
    encoded,
    heard,
    said,
    text_encoder,
    text_vectors,
    texts_of,
    weights_in,
)
from trainables.finetune.waves import by_length, waves_of
from trainables.finetune.workers import Workers
from trainables.losses import weighted_cross_entropy
from trainables.mi_infogan import align
from trainables.mi_infogan.config import Align, Config
from trainables.mi_infogan.data import Data, check
from trainables.prepared import normalised
from trainables.scoring import Part, score
from trainables.selection import Best
from trainables.stacking import row_seeds, seed_of
from trainables.task import Task
from trainables.training import Training


def check_machine(settings: Align) -> None:
    """Refuse encoders that are not there, and libraries missing. What a device can compute in is asked on the device.

    Raises:
        InputError: In one line.
    """
    for field, kind in (("encoder", "audio"), ("text_encoder", "text")):
        name = getattr(settings, field)
        try:
            if name:
                hub.config(name, kind)
                hub.check_folder(name, tokenizer=kind == "text")
        except InputError as error:
            raise InputError(f"config.align.{field}: {error}") from None
    if settings.train == "lora" or settings.text_train == "lora":
        adapters.check_installed()


def run(config: Config, task: Task, state: Tensors | None = None) -> Training:
    """Train every row; yield after each epoch, with equal epochs on every worker.

    Its artifact: W_y and W_t of each row at its dev-chosen epoch, its features ``h``, shape (R, N, H), of all labeled
    utterances, texts ``t`` where an encoder made them, shape (F, N, K), or (R, N, K) of one that was tuned, and
    normalisers. Of a final task, the encoders too.
    """
    check(config, task.corpus)
    labeled = task.labeled()
    resting = replace(labeled, corpus=at_rest(config, labeled.corpus))
    if config.align.tunes:
        return Tuned(config, Data.at_rest(config, resting, {}), labeled.corpus).resumed(state)
    data = Data.at_rest(config, resting, {})

    def more(best: Tensors) -> Tensors:
        found = {"h": align.Frozen.load(config, data, best).h.cpu()}
        if config.align.text_encoder:
            found["t"] = data.t.cpu().repeat(task.arms, 1, 1)
        return found | (_resting_encoders(config.align) if task.final else {})

    return align.train(config, data, state, more)


def at_rest(config: Config, corpus: Corpus) -> Corpus:
    """The corpus with vectors of encoders that are not tuned, or not yet, as if they were stored."""
    settings = config.align
    features, size = dict(corpus.features), _part_size(settings)
    precision, tuning = settings.tuning.precision, settings.tuning
    if settings.encoder and settings.train == "frozen":
        made = audio_vectors(corpus, settings.encoder, tuning.pooling, tuning.max_seconds, size, precision)
        features["audio"] = made.numpy()
    if settings.text_encoder:
        features["text"] = text_vectors(corpus, settings.text_encoder, tuning.text_pooling, size, precision).numpy()
    return replace(corpus, features=features)


def _part_size(settings: Align) -> int:
    """Utterances that pass through an encoder at once, on all workers together."""
    return -(-settings.batch_size // settings.tuning.accumulate)


class Model(nn.Module):
    """Encoders and heads of one row, and the losses of a batch that all workers hold a share of.

    Args:
        settings: The stage's settings.
        audio: f_a before its projection.
        text: Tuned text encoder; None where t is given.
        text_dim: K; 0 without text.
        classes: C.
        workers: Who else has a share.
    """

    def __init__(
        self, settings: Align, audio: Encoder, text: Encoder | None, text_dim: int, classes: int, workers: Workers
    ) -> None:
        super().__init__()
        self._settings, self._workers = settings, workers
        size = text_dim or settings.feature_dim or audio.size
        self.audio, self.text = audio, text
        self.outer = nn.Linear(audio.size, size) if audio.size != size else None
        self.norm = nn.LayerNorm(size)
        self.W_y = nn.Linear(size, classes)
        self.W_t = nn.Linear(size, text_dim) if text_dim else None
        self.W_e = nn.Linear(text_dim, classes) if text is not None else None

    @property
    def size(self) -> int:
        """Values of h."""
        return self.W_y.in_features

    @property
    def new(self) -> list[nn.Linear | nn.LayerNorm]:
        """What begins untrained."""
        found = (self.outer, self.norm, self.W_y, self.W_t, self.W_e)
        return [layer for layer in found if layer is not None]

    @property
    def heads(self) -> dict[str, Tensor]:
        """W_y, b_y, W_t, b_t by name."""
        layers = {"W_y": self.W_y, "W_t": self.W_t}
        return {
            f"{name}.{key}": each
            for name, layer in layers.items()
            if layer is not None
            for key, each in layer.named_parameters()
        }

    def hidden(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """h of a batch of recordings, eq. 1, shape (B, H)."""
        return self._projected(self.audio(inputs, mask).pooled)

    def _projected(self, pooled: Tensor) -> Tensor:
        with torch.autocast(pooled.device.type, enabled=False):
            x = pooled.float()
            return self.norm(x if self.outer is None else self.outer(x))

    def forward(self, batch: Tensors) -> Tensors:
        """The terms of eq. 7 of the whole batch, and of learning the emotion from text; shape () each.

        Args:
            batch: Of the own share, padded to the longest share: ``inputs`` and ``mask``; where a text encoder is
                tuned ``text.inputs`` and ``text.mask``. Of all B utterances: ``y``, ``has_text`` (B,), ``weights``
                (C,), and ``t`` (B, K) or ``text.mean``, ``text.std`` and perhaps ``text.basis`` to make it.
        """
        count = len(batch["y"])
        h = self._workers.gather(self.hidden(batch["inputs"], batch["mask"]), count)
        words = None if self.text is None else self.text(batch["text.inputs"], batch["text.mask"]).pooled
        with torch.autocast(h.device.type, enabled=False):
            if words is None:
                return self._terms(h, batch)
            t = _standardised(self._workers.gather(words.float(), count), batch) * batch["has_text"][:, None]
            return self._terms(h, batch | {"t": t.detach()}) | {"text": self._read(t, batch)}

    def _terms(self, h: Tensor, batch: Tensors) -> Tensors:
        if len(h) > 1:
            return align.terms_of(self._settings, self.heads, h, batch)
        # A lone utterance finds its text among one: no loss. Its gradient is 0 rather than none, for whoever waits.
        alone = self._settings.model_copy(update={"alpha": 0.0, "beta": 0.0})
        nothing = 0.0 * sum((align.linear(self.heads, name, h).sum() for name in self._layers()), h.sum())
        names = [name for name in ("cl", "mi") if self._weight(name) > 0 and batch["t"].shape[-1]]
        return align.terms_of(alone, self.heads, h, batch) | dict.fromkeys(names, nothing)

    def _layers(self) -> list[str]:
        return ["W_t"] if self.W_t is not None and self._settings.beta > 0 else []

    def _weight(self, term: str) -> float:
        return {"cl": self._settings.alpha, "mi": self._settings.beta}[term]

    def _read(self, t: Tensor, batch: Tensors) -> Tensor:
        """Cross entropy of the emotion in the transcripts that are there."""
        assert self.W_e is not None
        there = batch["has_text"] > 0
        logits = self.W_e(t)
        if not there.any():
            return 0.0 * logits.sum()
        return weighted_cross_entropy(logits[there], batch["y"][there], batch["weights"])


def _standardised(words: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Text vectors under a fold's normaliser, shape (B, D) to (B, K)."""
    out = (words - given["text.mean"]) / given["text.std"]
    return out @ given["text.basis"] if "text.basis" in given else out


class Tuned(Training):
    """Encoders being tuned.

    Args:
        config: All settings.
        data: The task's tensors; audio has none.
        corpus: Recordings and transcripts of the same labeled utterances.
    """

    def __init__(self, config: Config, data: Data, corpus: Corpus) -> None:
        super().__init__(align.NAME, config.align.epochs)
        self._config, self._data, self._corpus = config, data, corpus
        settings = config.align
        gc.collect()  # the model of the arm before, which accelerate has tied to itself, makes room on the device
        self._workers = workers = Workers(settings.tuning.precision)
        self._audio, self._text = _learning(settings)
        self._waves = waves_of(_recordings(corpus), self._audio.rate)
        self._texts = texts_of(corpus) if self._text else []
        text = self._text.module if self._text else None
        model = Model(settings, self._audio.module, text, data.t.shape[-1], data.classes, workers)
        self._model: Model = model.to(workers.device)
        self._seeds = row_seeds(data.task, align.NAME, "init")
        self._weights = data.weights(settings.class_weights)
        self._leave_out_idle()
        trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        adam = torch.optim.AdamW(
            trained.values(),
            lr=settings.tuning.learning_rate,
            weight_decay=settings.weight_decay,
            fused=workers.device.type == "cuda",
        )
        self._parallel, self._adam = workers.accelerator.prepare(model, adam)
        self._rows = Rows(trained, adam, self._begin, data.rows, workers.accelerator.scaler)
        self._dev, self._test = data.part("dev"), data.part("test")
        self._best = Best(data.rows)
        self._speakers: dict[str, np.ndarray] = {}
        self._on_dev: list[Tensor] = []

    def epoch(self, index: np.ndarray) -> Epoch:
        """Train each row in its turn, score all, keep each row's best."""
        terms, self._on_dev = [], []
        for row, seed in enumerate(row_seeds(self._data.task, align.NAME, index)):
            terms.append(self._train(row, seed))
            self._on_dev.append(self._logits_of(self._dev, row))
        scores = score(self._best, self._dev, self._test, self._logits, self._speakers)
        self._speakers = dict(scores.speakers)
        for improved in np.flatnonzero(scores.better).tolist():
            self._rows.keep(improved)
        return Epoch(
            stage=self.stage,
            index=int(index[0]),
            total=self.epochs,
            confusions=scores.confusions,
            speakers=scores.speakers,
            terms={name: np.array([each[name] for each in terms]) for name in terms[0]},
            snapshot=self.state,
            artifact=self._artifact() if self.ends(index) else None,
        )

    def tensors(self) -> Tensors:
        """Trained parameters and Adam's state of every row, now and at its best, and the test counts by speaker."""
        counts = {f"test/{name}": torch.from_numpy(counts) for name, counts in self._speakers.items()}
        return self._rows.state() | self._best.state() | counts

    def load(self, state: Tensors) -> None:
        """Take up a saved state."""
        counts = {name: each for name, each in state.items() if name.startswith("test/")}
        self._speakers = {name.removeprefix("test/"): each.numpy() for name, each in counts.items()}
        self._best.uar = state["best.uar"].numpy().copy()
        self._rows.load(state)

    # one row's epoch

    def _train(self, row: int, seed: int) -> dict[str, float]:
        """One pass over a row's train part; the mean of each term over utterances."""
        settings = self._config.align
        self._rows.enter(row, train=True)
        self._parallel.train()
        steps = steps_of(self._data.train[row], seed, size=settings.batch_size, parts=settings.tuning.accumulate)
        sums: dict[str, Tensor] = {}
        counts = self._counts(row)
        with _drawing(self._workers.device):
            for step, batches in ahead(lambda step: (step, self._prepared(row, step)), steps):
                torch.manual_seed(seed_of(seed, step.number, self._workers.rank))
                terms = self._step(row, step, batches, counts)
                for name, term in terms.items():
                    sums[name] = sums.get(name, torch.zeros_like(term)) + term * sum(map(len, step.parts))
        return {name: float(each) / len(self._data.train[row]) for name, each in sums.items()}

    def _step(self, row: int, step: Step, batches: list[Tensors], counts: Mapping[str, np.ndarray]) -> Tensors:
        """One step of the optimizer; its terms."""
        accelerator, last = self._workers.accelerator, len(batches) - 1
        shares = {name: _share_of([each[part].sum() for part in step.parts]) for name, each in counts.items()}
        sums: Tensors = {}
        for number, batch in enumerate(batches):
            wait = nullcontext() if number == last else accelerator.no_sync(self._parallel)
            with wait:
                found = self._parallel(self._given(row, step.parts[number], batch))
                terms = {name: term * shares[_MEAN_OVER[name]][number] for name, term in found.items()}
                accelerator.backward(self._total(terms))
            sums = {name: sums.get(name, 0.0) + term.detach() for name, term in terms.items()}
        self._adam.step()
        self._adam.zero_grad()
        return sums

    def _total(self, terms: Tensors) -> Tensor:
        """Eq. 7, and the text encoder's own loss."""
        own = {name: term for name, term in terms.items() if name != "text"}
        return align.total(self._config.align, own) + terms.get("text", 0.0)

    def _counts(self, row: int) -> dict[str, np.ndarray]:
        """What each utterance counts for in means, by what a mean is over, shape (N,): a part's share of its step."""
        weight = self._weights[row][self._data.labels].cpu().numpy()
        there = self._data.has_text.cpu().numpy()
        return {"weight": weight, "text": there, "weighted text": weight * there}

    def _prepared(self, row: int, step: Step) -> list[Tensors]:
        """The inputs of this worker's share of each part, on the CPU."""
        return [self._inputs(part, places) for part, places in zip(step.parts, step.places, strict=True)]

    def _inputs(self, part: np.ndarray, places: np.ndarray) -> Tensors:
        own, longest = self._workers.share(len(part)), self._workers.longest(len(part))
        chosen, there = padded(part[own], longest, part[0]), padded(places[own], longest, 0.0)
        inputs = self._heard(chosen, there)
        found = {"inputs": inputs.inputs, "mask": inputs.mask}
        if self._text is not None:
            words = self._text.prepare([self._texts[each] for each in chosen])
            found |= {"text.inputs": words.inputs, "text.mask": words.mask}
        return found

    def _heard(self, utterances: np.ndarray, places: np.ndarray | None = None) -> Batch:
        longest = self._config.align.tuning.max_seconds
        starts = np.zeros(len(utterances)) if places is None else places
        pairs = zip(utterances, starts, strict=True)
        return self._audio.prepare([self._waves.cropped(int(each), longest, float(start)) for each, start in pairs])

    def _given(self, row: int, part: np.ndarray, inputs: Tensors) -> Tensors:
        """A batch on the device: the own share's inputs, and what is known of the whole part."""
        data, device = self._data, self._workers.device
        index = torch.from_numpy(part).to(device)
        known = {"y": data.labels[index], "has_text": data.has_text[index], "weights": self._weights[row]}
        if self._text is None:
            known["t"] = data.texts(index[None], slice(row, row + 1))[0]
        else:
            known |= self._normaliser(row)
        return {name: each.to(device, non_blocking=True) for name, each in inputs.items()} | known

    def _normaliser(self, row: int) -> Tensors:
        fold = int(self._data.fold[row])
        found = self._data.normalisers["text"].state("text.")
        return {name: each[fold].to(self._workers.device) for name, each in found.items()}

    def _begin(self, row: int) -> None:
        """Initial values of a row: encoders as pretrained, all else under the row's own seed."""
        with torch.random.fork_rng(devices=_devices(self._workers.device)), torch.no_grad():
            torch.manual_seed(self._seeds[row])
            for name, parameter in self._model.named_parameters():
                if name in self._pretrained:
                    parameter.copy_(self._pretrained[name])
            for layer in self._model.new:
                layer.reset_parameters()
            adapters.reset(self._model)

    def _leave_out_idle(self) -> None:
        """Freeze parameters that no loss reaches: workers would wait for each other's gradients of them for ever."""
        pair = self._data.train[0][:2]
        batch = self._given(0, pair, self._inputs(pair, np.zeros(len(pair))))
        with _drawing(self._workers.device), self._workers.accelerator.autocast():
            self._total(self._model(batch)).backward()
        for parameter in self._model.parameters():
            parameter.requires_grad_(parameter.requires_grad and parameter.grad is not None)
            parameter.grad = None
        self._pretrained = {
            name: parameter.detach().cpu().clone()
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad and name.startswith(("audio.", "text.")) and "lora_" not in name
        }

    # what is made of it

    def _logits(self, part: Part, rows: np.ndarray) -> Tensors:
        """Logits of a part for the given rows, shape (rows.sum(), n, C); those on dev are from each row's turn."""
        chosen = np.flatnonzero(rows).tolist()
        if part is self._dev:
            return {"audio": torch.stack([self._on_dev[row] for row in chosen])}
        return {"audio": torch.stack([self._logits_of(part, row) for row in chosen])}

    @torch.no_grad()
    def _logits_of(self, part: Part, row: int) -> Tensor:
        """Logits of a part of a row, shape (n, C)."""
        self._rows.enter(row)
        there = part.valid[row]
        found = torch.zeros(len(there), self._data.classes, device=self._workers.device)
        if there.any():
            found[there] = align.linear(self._model.heads, "W_y", self._features(part.index[row][there]))
        return found

    def _features(self, utterances: Tensor) -> Tensor:
        """h of utterances under the row in the model, shape (n, H)."""
        chosen = utterances.cpu().numpy()
        size = self._workers.longest(_part_size(self._config.align))
        self._model.eval()
        return encoded(
            self._workers,
            lambda batch: self._model.hidden(batch.inputs, batch.mask),
            lambda places: self._heard(chosen[places]),
            by_length(self._waves.seconds(chosen), size),
            self._model.size,
        )

    def _artifact(self) -> Tensors:
        """What each row hands on, from its best epoch."""
        rows = [self._handed_on(row) for row in range(self._data.rows)]
        artifact = {name: torch.stack([each[name] for each in rows]) for name in rows[0]}
        if self._config.align.text_encoder and self._text is None:
            artifact["t"] = self._data.t.cpu()
        return artifact | self._data.state() | (self._files() if self._data.task.final else {})

    def _handed_on(self, row: int) -> Tensors:
        self._rows.enter_best(row)
        everyone = torch.arange(len(self._data.labels), device=self._data.device)
        with torch.no_grad():
            found = {name: each.detach().cpu().clone() for name, each in self._model.heads.items()}
            found["h"] = self._features(everyone).cpu()
            if self._text is not None:
                found["t"] = self._read_all(row)
        return found | (self._weights_of_row() if self._data.task.final else {})

    def _read_all(self, row: int) -> Tensor:
        """t of all utterances under the row in the model, shape (N, K)."""
        assert self._text is not None
        words = said(self._workers, self._text, self._texts, self._workers.longest(_part_size(self._config.align)))
        t = _standardised(words.to(self._workers.device), self._normaliser(row))
        return (t * self._data.has_text[:, None]).cpu()

    def _weights_of_row(self) -> Tensors:
        """The encoders as they classify: LoRA's matrices put into the weights, and the projection."""
        found = folder.weights(_cpu(adapters.merged(self._audio.module.model)), "audio")
        if self._text is not None:
            found |= folder.weights(_cpu(adapters.merged(self._text.module.model)), "text")
        layers = {"outer": self._model.outer, "norm": self._model.norm}
        own = {name: layer.state_dict() for name, layer in layers.items() if layer is not None}
        return found | _cpu({f"{name}.{key}": each for name, state in own.items() for key, each in state.items()})

    def _files(self) -> Tensors:
        found = folder.files(self._audio, "audio")
        if self._text is not None:
            return found | folder.files(self._text, "text")
        return found | _resting_text(self._config.align)


#: What the mean of each term is over, for steps in parts.
_MEAN_OVER = {"ser": "weight", "cl": "text", "mi": "text", "text": "weighted text"}


def _share_of(sums: list[float]) -> np.ndarray:
    whole = sum(sums)
    return np.array(sums) / whole if whole > 0 else np.zeros(len(sums))


def _learning(settings: Align) -> tuple[AudioEncoder, TextEncoder | None]:
    """The encoders that are tuned, with LoRA's matrices where asked for."""
    tuning = settings.tuning
    full = settings.train == "full"
    assert settings.encoder is not None
    dtype = "float32" if full else weights_in(tuning.precision)
    audio = audio_encoder(settings.encoder, tuning.pooling, dtype=dtype)
    text = None
    if settings.text_encoder and settings.text_train == "lora":
        text = text_encoder(settings.text_encoder, tuning.text_pooling, dtype=weights_in(tuning.precision))
    for encoder in [each for each in (audio, text) if each is not None]:
        model = encoder.module.model
        if tuning.checkpointing:
            model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        if encoder is audio and full:
            model.requires_grad_(True)
        else:
            adapters.attach(model, rank=tuning.rank, alpha=tuning.alpha, dropout=tuning.dropout, targets=tuning.targets)
    return audio, text


def _recordings(corpus: Corpus) -> Any:
    assert corpus.recordings is not None
    return corpus.recordings


def _resting_encoders(settings: Align) -> Tensors:
    """The encoders that were left as they are, once for all rows."""
    found: Tensors = {}
    if settings.encoder:
        audio = audio_encoder(settings.encoder, settings.tuning.pooling)
        found = folder.files(audio, "audio") | folder.weights(_one(audio.module.model.state_dict()), "audio")
    return found | _resting_text(settings)


def _resting_text(settings: Align) -> Tensors:
    if not settings.text_encoder:
        return {}
    text = text_encoder(settings.text_encoder, settings.tuning.text_pooling)
    return folder.files(text, "text") | folder.weights(_one(text.module.model.state_dict()), "text")


def _one(state: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor[None] for name, tensor in state.items()}


def _cpu(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies: what is in the model changes with the next row."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


@contextmanager
def _drawing(device: torch.device) -> Iterator[None]:
    """Leave torch's generators as they were."""
    with torch.random.fork_rng(devices=_devices(device)):
        yield


def _devices(device: torch.device) -> list[int]:
    return [torch.cuda.current_device()] if device.type == "cuda" else []


# prediction


def with_vectors(config: Config, artifact: Mapping[str, Tensor], corpus: Corpus) -> Corpus:
    """A corpus of recordings with vectors of the frozen encoder that a final artifact holds.

    Raises:
        InputError: If the artifact holds no encoder, or a recording cannot be read.
    """
    settings, workers = config.align, Workers(config.align.tuning.precision)
    encoder = folder.load(artifact, "audio")
    folder.fill(encoder, artifact, "audio", 0)
    vectors = heard(workers, encoder, corpus, settings.tuning.max_seconds, _part_size(settings))
    return replace(corpus, features={**corpus.features, "audio": vectors.numpy()})


def features(config: Config, artifact: Mapping[str, Tensor], corpus: Corpus) -> Tensor:
    """h of every utterance of a corpus of recordings under every tuned row of a final artifact, shape (R, N, H).

    Raises:
        InputError: If the artifact holds no encoder, or a recording cannot be read.
    """
    settings, workers = config.align, Workers(config.align.tuning.precision)
    encoder, rows = folder.load(artifact, "audio"), []
    for row in range(len(artifact["W_y.weight"])):
        folder.fill(encoder, artifact, "audio", row)
        pooled = heard(workers, encoder, corpus, settings.tuning.max_seconds, _part_size(settings))
        rows.append(_after(artifact, row, pooled))
    return torch.stack(rows)


def _after(artifact: Mapping[str, Tensor], row: int, pooled: Tensor) -> Tensor:
    """h from an encoder's pooled output: projection and LayerNorm of a row."""
    if "outer.weight" in artifact:
        pooled = pooled @ artifact["outer.weight"][row].mT + artifact["outer.bias"][row]
    weight, bias = artifact["norm.weight"][row], artifact["norm.bias"][row]
    return nn.functional.layer_norm(pooled, weight.shape, weight, bias)


def texts(config: Config, artifact: Mapping[str, Tensor], corpus: Corpus) -> Tensor:
    """t of every utterance of a corpus under every row of a final artifact, shape (R, N, K)."""
    workers, size = Workers(config.align.tuning.precision), _part_size(config.align)
    encoder, count = folder.load(artifact, "text"), len(artifact["W_y.weight"])
    found = []
    for row in range(count if config.align.text_train == "lora" else 1):
        folder.fill(encoder, artifact, "text", row)
        words = said(workers, encoder, texts_of(corpus), size).numpy()
        spoken = replace(corpus, features={**corpus.features, "text": words})
        found.append(normalised(artifact, spoken, ("text",), count)["text"])
    return torch.stack([found[row % len(found)][row] for row in range(count)])
