"""A small corpus folder: 2 classes, 4 sessions of 2 speakers, audio and text; learnable, quickly trained on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLASSES = ("angry", "sad")


def make(folder: Path, *, audio: int = 5, labels: bool = True, split: bool = False, each: int = 12) -> Path:
    """Write it.

    Args:
        folder: Where to.
        audio: Values of an audio vector.
        labels: Whether any utterance is labeled; every sixth never is.
        split: Whether it has a split of its own: the last session is test, the one before dev.
        each: Utterances a speaker.
    """
    rng = np.random.default_rng(0)
    rows = []
    for session in range(4):
        for speaker in "FM":
            for turn in range(each):
                truth = (turn + session) % 2
                known = labels and turn % 6 != 5
                rows.append(
                    {
                        "utterance_id": f"s{session}{speaker}{turn:02d}",
                        "speaker": f"s{session}{speaker}",
                        "session": f"s{session}",
                        "dialogue": f"s{session}d{turn // 4}",
                        "turn": turn,
                        "label": CLASSES[truth] if known else None,
                        "audio_toy": (rng.normal(size=audio) + 2 * truth).astype(np.float32),
                        "text_toy": (rng.normal(size=4) - 2 * truth).astype(np.float32),
                    }
                    | ({"split": ("train", "train", "dev", "test")[session]} if split else {})
                )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["label"] = pa.array(columns["label"], pa.string())
    for name in ("audio_toy", "text_toy"):
        width = len(columns[name][0])
        columns[name] = pa.array(columns[name], pa.list_(pa.float32(), width))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "toy.parquet")
    return folder
