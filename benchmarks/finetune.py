"""Fine-tuning beside a plain Hugging Face Trainer loop: `python benchmarks/finetune.py --encoder ast --precision bf16`.

Both train the same encoder (random weights, the base size unless told otherwise) on the same made-up recordings with
the same batch and precision, in one process on one device. Plain: `transformers.Trainer`, cross entropy, the waveforms
already in memory. Ours: stage `align` of `mi_infogan`, reading recordings as a study does, by cross entropy alone and
with the two contrastive terms against stored text vectors. Samples a second of the training pass, the first epoch left
out, and the share of the device's peak in products of that precision.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent))

from roofline import timed

from trainables import corpus as corpora
from trainables import recordings
from trainables.mi_infogan import tune
from trainables.mi_infogan.config import Config
from trainables.prepared import default_device
from trainables.protocols import Fold
from trainables.task import Task

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CLASSES = ("angry", "happy", "neutral", "sad")
#: Utterances for dev and test, half each: two of every class.
HELD = 4 * len(CLASSES)


def encoder(kind: str, size: str, folder: Path) -> Path:
    """A folder with an encoder of random weights."""
    import transformers

    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    torch.manual_seed(0)
    name = {"ast": "AST", "wav2vec2": "Wav2Vec2"}[kind]
    config = getattr(transformers, f"{name}Config")(**(small if size == "small" else {}))
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    extractor = getattr(transformers, f"{name}FeatureExtractor")()
    extractor.save_pretrained(folder)
    return folder


def corpus(folder: Path, utterances: int, seconds: float) -> corpora.Corpus:
    """Recordings of noise, one length, with text vectors; two speakers."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for number in range(utterances):
        wave = 0.1 * rng.standard_normal(round(seconds * recordings.RATE))
        soundfile.write(folder / f"{number}.wav", wave, recordings.RATE)
        rows.append(
            {
                "utterance_id": f"u{number:05}",
                "speaker": f"s{number % 2}",
                "label": CLASSES[number // 2 % len(CLASSES)],
                "recording": f"{number}.wav",
                "duration": seconds,
                "text_made": rng.standard_normal(768).astype(np.float32),
            }
        )
    pd.DataFrame(rows).to_parquet(folder / "corpus.parquet", index=False)
    return corpora.load(folder, features={"audio": "recording"})


def ours(task: Task, settings: dict[str, Any], epochs: int) -> tuple[float, float]:
    """Seconds of a training pass, the shortest of the epochs after the first; and its operations."""
    config = Config.model_validate({"align": settings | {"epochs": epochs + 1}})
    stage = tune.run(config, task)
    assert isinstance(stage, tune.Tuned)
    seconds: list[float] = []
    train = stage._train

    def watched(row: int, seed: int) -> dict[str, float]:
        _wait()
        begun = time.perf_counter()
        found = train(row, seed)
        _wait()
        seconds.append(time.perf_counter() - begun)
        return found

    stage._train = watched  # type: ignore[method-assign]
    next(stage)
    with FlopCounterMode(display=False) as flops:
        train(0, 1)
    seconds.clear()
    for _ in range(epochs):
        next(stage)
    return min(seconds), float(flops.get_total_flops())


def plain(folder: Path, waves: list[np.ndarray], labels: np.ndarray, asked: argparse.Namespace) -> float:
    """Seconds of an epoch of the Trainer, the shortest after the first."""
    import transformers

    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder, num_labels=len(CLASSES))
    ends: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            _wait()
            ends.append(-time.perf_counter())

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            _wait()
            ends[-1] += time.perf_counter()

    def collate(items: list[tuple[np.ndarray, int]]) -> dict[str, torch.Tensor]:
        made = extractor([wave for wave, _ in items], sampling_rate=recordings.RATE, return_tensors="pt", padding=True)
        return {**made, "labels": torch.tensor([label for _, label in items])}

    with tempfile.TemporaryDirectory() as out:
        arguments = transformers.TrainingArguments(
            out,
            per_device_train_batch_size=asked.batch,
            num_train_epochs=asked.epochs + 1,
            learning_rate=1e-4,
            bf16=asked.precision == "bf16",
            fp16=asked.precision == "fp16",
            optim="adamw_torch_fused" if torch.cuda.is_available() else "adamw_torch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            remove_unused_columns=False,
            use_cpu=not torch.cuda.is_available(),
        )
        pairs = list(zip(waves, labels.tolist(), strict=True))
        transformers.Trainer(
            model=model, args=arguments, train_dataset=pairs, data_collator=collate, callbacks=[Clock()]
        ).train()
    return min(ends[1:])


def peak(precision: str) -> float:
    """Operations a second of a large product in that precision."""
    device = default_device()
    size = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, size, size, device=device, dtype=DTYPES[precision])
    multiply: Callable[[], Any] = lambda: a @ b  # noqa: E731
    return 2 * size**3 / timed(multiply, 10)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=("ast", "wav2vec2"), default="ast")
    parser.add_argument("--size", choices=("base", "small"), default="base")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="bf16")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--utterances", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a recording")
    parser.add_argument("--epochs", type=int, default=3, help="after one that is not counted")
    parser.add_argument("--out", type=Path, help="write the results here (JSON)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = encoder(asked.encoder, asked.size, Path(name) / "encoder")
        data = corpus(Path(name) / "corpus", asked.utterances + HELD, asked.seconds)
        found = measured(folder, data, asked)
    for row in found["rows"]:
        share = f"{row['share']:.0%} of peak" if row["share"] else ""
        print(f"{row['form']:36s} {row['samples_per_s']:8.1f} samples/s  {row['seconds']:8.2f} s an epoch  {share}")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measured(folder: Path, data: corpora.Corpus, asked: argparse.Namespace) -> dict[str, Any]:
    """All forms, one after the other."""
    most, device = peak(asked.precision), default_device()
    held, rows = np.split(np.arange(len(data.labels)), [HELD])
    fold = Fold.make("all", data, rows, *np.split(held, 2), allow_shared_speakers=True)
    task = Task(data, (fold,), (0,))
    settings = {
        "encoder": str(folder),
        "batch_size": asked.batch,
        "tuning": {"precision": asked.precision, "max_seconds": asked.seconds},
    }
    found = []
    for form, weights in (("ours, cross entropy", 0.0), ("ours, with contrastive terms", 1.0)):
        seconds, flop = ours(task, settings | {"alpha": weights, "beta": weights}, asked.epochs)
        found.append({"form": form, "seconds": seconds, "flop": flop, "share": flop / seconds / most})
    assert data.recordings is not None
    waves = [data.recordings.read(row) for row in rows]
    found.append({"form": "plain transformers.Trainer", "seconds": plain(folder, waves, data.labels[rows], asked)})
    for row in found:
        row["samples_per_s"] = asked.utterances / row["seconds"]
        # The Trainer computes what ours does without the contrastive terms.
        row.setdefault("share", found[0]["flop"] / row["seconds"] / most)
    about = {name: str(value) for name, value in vars(asked).items()}
    return {"asked": about, "device": str(device), "peak_flop_per_s": most, "torch": torch.__version__, "rows": found}


if __name__ == "__main__":
    main()
