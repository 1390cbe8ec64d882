"""The built-in corpus: made-up utterances in which it is known what helps, what does not, and how much is best.

Each utterance has a class y and an emotion latent e = mu_y + noise, the same law for every speaker. Audio is a
rotation of four blocks:

- *emotion*: e, quietly; what holds for new speakers;
- *habit*: a vector of its own for every speaker and class, louder than e. Within a speaker it tells the classes
  apart; of a new speaker it tells nothing;
- *content*: a latent that text knows and emotion does not depend on;
- *noise*.

Text is a rotation of all of e but its last part (the *tone*, which words do not carry) and of the content.

Planted truth, for `mi_infogan` with speakers held out (`PLANTED` states it as data, the tests hold it):

- **Useful: the alignment of audio with text** (``align.alpha``, ``align.beta``). Cross entropy on a few speakers is
  satisfied by their habits. Text knows nothing of habits, but follows e from utterance to utterance, so alignment
  makes the encoder find the emotion block.
- **Best region of its weights**: alpha + beta in the middle of the search range. Near 0 the habits win; far above 1
  the encoder keeps only what text knows: content comes in, and the tone, which tells classes apart too, goes.
- **Useless: generated features** (stages 2 and 3). Given the class, e and everything else are Gaussian or constant and
  the classes are equally spread, so the best decision on the aligned features is linear and already learnt from the
  real ones; generated ones are drawn from what was seen and hold nothing more. The video modality is noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.errors import InputError

#: Class shares.
SKEW: Mapping[str, float] = MappingProxyType({"angry": 0.15, "happy": 0.25, "neutral": 0.40, "sad": 0.20})
#: Size of the vectors of each modality.
DIMS: Mapping[str, int] = MappingProxyType({"audio": 32, "text": 16, "video": 12})
_NAME = "synth"


@dataclass(frozen=True, kw_only=True)
class Effects:
    """How strong the planted effects are; all in units of the latent's spread within a class.

    Attributes:
        emotion_dims: Size of e.
        tone_dims: How many of them text does not know.
        separation: Distance of the class means from their centre.
        shared_gain: Loudness of e in audio.
        habit_dims: Size of the speakers' habits.
        habit: Spread of a speaker's habits over classes; 0 removes the shortcut, and with it the use of alignment.
        habit_noise: Spread of the habit block from utterance to utterance.
        content_dims: Size of the latent that audio and text share.
        content_audio: Its loudness in audio.
        content_text: Its loudness in text.
        audio_noise: Loudness of the noise block.
        text_noise: Noise on every value of the text vector.
        mood: Share of utterances that follow the mood of their dialogue instead of the class shares.
    """

    emotion_dims: int = 3
    tone_dims: int = 1
    separation: float = 2.5
    shared_gain: float = 0.4
    habit_dims: int = 20
    habit: float = 1.5
    habit_noise: float = 0.5
    content_dims: int = 3
    content_audio: float = 0.7
    content_text: float = 0.5
    audio_noise: float = 0.2
    text_noise: float = 0.1
    mood: float = 0.4

    def __post_init__(self) -> None:
        blocks = self.emotion_dims + self.habit_dims + self.content_dims
        if blocks > DIMS["audio"] or self.emotion_dims + self.content_dims > DIMS["text"]:
            raise InputError("synth: the latent blocks are larger than the feature vectors; use fewer dimensions")
        if not 0 <= self.mood <= 1:
            raise InputError(f"synth: mood must be between 0 and 1, found {self.mood}")


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What is true of the default corpus under `mi_infogan`, leave-one-session-out.

    Attributes:
        useful: The change of config that removes the useful component.
        gain: What it costs at least, in mean test UAR.
        useless: Changes of config that cost nothing.
        tolerance: What they change at most, in mean test UAR.
        best: Lowest and highest sum of ``align.alpha`` and ``align.beta`` of the region with the best UAR.
    """

    useful: Mapping[str, float]
    gain: float
    useless: Sequence[Mapping[str, object]]
    tolerance: float
    best: tuple[float, float]


#: The planted truth of ``make()`` with its defaults.
PLANTED = Planted(
    useful={"align.alpha": 0.0, "align.beta": 0.0},
    gain=0.05,
    useless=({"augment.source": "none"}, {"augment.source": "real"}),
    tolerance=0.02,
    best=(0.3, 6.0),
)


@dataclass(frozen=True)
class _Utterances:
    """Who speaks when, and how; arrays of shape (N,)."""

    speaker: np.ndarray
    session: np.ndarray
    dialogue: np.ndarray
    turn: np.ndarray
    label: np.ndarray
    ids: list[str] = field(default_factory=list)


def make(
    seed: int = 0,
    *,
    speakers: int = 12,
    sessions: int = 6,
    dialogues: int = 24,
    turns: int = 32,
    skew: Mapping[str, float] = SKEW,
    modalities: Sequence[str] = ("audio", "text"),
    missing: Mapping[str, float] = MappingProxyType({"audio": 0.02, "text": 0.03}),
    unlabeled: float = 0.1,
    effects: Effects | None = None,
) -> pa.Table:
    """Make the corpus as one table, in the layout that `trainables.corpus.load` reads.

    Args:
        seed: Another seed, another corpus with the same truth.
        speakers: How many; the same number in each session.
        sessions: How many; the last one is the ``test`` split, the one before it ``dev``.
        dialogues: How many, over all sessions.
        turns: Utterances a dialogue; the session's speakers take turns.
        skew: Share of each class.
        modalities: Any of audio, text, video.
        missing: Share of utterances that lack a modality; no utterance lacks two.
        unlabeled: Share of utterances without a label.
        effects: How strong the planted effects are.

    Returns:
        ``dialogues * turns`` rows.

    Raises:
        InputError: If the numbers do not fit each other.
    """
    _check(speakers, sessions, dialogues, turns, skew, modalities, missing, unlabeled)
    effects = effects or Effects()
    rng = np.random.default_rng(seed)
    said = _conversations(rng, speakers, sessions, dialogues, turns, skew, effects.mood)
    count = len(said.ids)
    vectors = _vectors(rng, said, speakers, len(skew), effects)
    order = rng.permutation(count)
    labels = np.array(list(skew), dtype=object)[said.label]
    labels[rng.permutation(count)[: round(unlabeled * count)]] = None
    columns: dict[str, pa.Array] = {
        "utterance_id": pa.array(said.ids),
        "corpus": pa.array([_NAME] * count),
        "session": pa.array([f"S{number + 1}" for number in said.session]),
        "speaker": pa.array([f"P{number + 1:02d}" for number in said.speaker]),
        "dialogue": pa.array([name.rpartition("_")[0] for name in said.ids]),
        "turn": pa.array(said.turn.astype(np.int32)),
        "split": pa.array([_split(number, sessions) for number in said.session]),
        "label": pa.array(labels, type=pa.string()),
    }
    for modality in modalities:
        gap, order = np.split(order, [round(missing.get(modality, 0) * count)])
        there = np.ones(count, dtype=bool)
        there[gap] = False
        columns[f"has_{modality}"] = pa.array(there)
        columns[f"{modality}_{_NAME}{DIMS[modality]}"] = _lists(vectors[modality], there)
    return pa.table(columns)


def write(directory: str | Path, seed: int = 0, **options: object) -> Path:
    """Write the corpus as Parquet with a ``SOURCE.md`` that says what is planted.

    Args:
        directory: Made if need be; what is there of another corpus is not touched.
        seed: As in `make`.
        **options: As in `make`.

    Returns:
        The folder.

    Raises:
        InputError: If the folder holds another corpus, or as `make` does.
    """
    directory = Path(directory)
    target = directory / f"{_NAME}.parquet"
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: is a file; give a folder for the corpus")
    others = [each.name for each in directory.glob("*.parquet") if each != target]
    if others:
        raise InputError(f"{directory}: already holds {sorted(others)[0]}, of another corpus; give a new folder")
    table = make(seed, **options)  # type: ignore[arg-type]
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target, compression="zstd")
    (directory / "SOURCE.md").write_text(_source(table, seed), encoding="utf-8")
    return directory


def _check(
    speakers: int,
    sessions: int,
    dialogues: int,
    turns: int,
    skew: Mapping[str, float],
    modalities: Sequence[str],
    missing: Mapping[str, float],
    unlabeled: float,
) -> None:
    if min(speakers, sessions, dialogues, turns) < 1:
        raise InputError("synth: speakers, sessions, dialogues and turns must be at least 1")
    if speakers % sessions or dialogues % sessions:
        raise InputError(
            f"synth: {speakers} speakers and {dialogues} dialogues do not fill {sessions} sessions evenly; "
            "use multiples of the number of sessions"
        )
    if len(skew) < 2 or min(skew.values()) <= 0 or abs(sum(skew.values()) - 1) > 1e-9:
        raise InputError(f"synth: skew must give 2 or more classes shares that sum to 1, found {dict(skew)}")
    if not modalities or len(set(modalities)) < len(modalities) or not set(modalities) <= set(DIMS):
        raise InputError(f"synth: modalities must be some of {', '.join(DIMS)}, found {list(modalities)}")
    gaps = [missing.get(modality, 0.0) for modality in modalities]
    if min(*gaps, unlabeled) < 0 or sum(gaps) >= 1 or unlabeled >= 1:
        raise InputError("synth: the missing and the unlabeled shares must be at least 0 and sum to less than 1")


def _split(session: int, sessions: int) -> str:
    return {sessions - 1: "test", sessions - 2: "dev"}.get(session, "train")


def _conversations(
    rng: np.random.Generator,
    speakers: int,
    sessions: int,
    dialogues: int,
    turns: int,
    skew: Mapping[str, float],
    mood: float,
) -> _Utterances:
    """Dialogues dealt over sessions; each has a mood, and its session's speakers take turns."""
    shares = np.array(list(skew.values()))
    bounds = np.round(np.cumsum(shares) * dialogues).astype(int)
    moods = rng.permutation(np.searchsorted(bounds, np.arange(dialogues), side="right"))
    dialogue = np.repeat(np.arange(dialogues), turns)
    turn = np.tile(np.arange(turns), dialogues)
    session = dialogue * sessions // dialogues
    each = speakers // sessions
    own = rng.choice(len(shares), size=len(turn), p=shares)
    label = np.where(rng.random(len(turn)) < mood, moods[dialogue], own)
    ids = [f"S{s + 1}_D{d + 1:02d}_{t:03d}" for s, d, t in zip(session, dialogue, turn, strict=True)]
    return _Utterances(session * each + turn % each, session, dialogue, turn, label, ids)


def _vectors(
    rng: np.random.Generator, said: _Utterances, speakers: int, classes: int, effects: Effects
) -> dict[str, np.ndarray]:
    """Feature vectors of every modality, shape (N, D) each."""
    count = len(said.ids)
    means = _means(rng, classes, effects)
    emotion = means[said.label] + rng.normal(size=(count, effects.emotion_dims))
    habits = effects.habit * rng.normal(size=(speakers, classes, effects.habit_dims))
    habit = habits[said.speaker, said.label]
    habit = habit + effects.habit_noise * rng.normal(size=habit.shape)
    content = rng.normal(size=(count, effects.content_dims))
    blocks = [effects.shared_gain * emotion, habit, effects.content_audio * content]
    rest = DIMS["audio"] - sum(block.shape[1] for block in blocks)
    blocks.append(effects.audio_noise * rng.normal(size=(count, rest)))
    known = emotion[:, : effects.emotion_dims - effects.tone_dims]
    spoken = np.concatenate([known, effects.content_text * content], axis=1)
    text = spoken @ _rotation(rng, DIMS["text"])[: spoken.shape[1]]
    return {
        "audio": np.concatenate(blocks, axis=1) @ _rotation(rng, DIMS["audio"]),
        "text": text + effects.text_noise * rng.normal(size=text.shape),
        "video": rng.normal(size=(count, DIMS["video"])),
    }


def _means(rng: np.random.Generator, classes: int, effects: Effects) -> np.ndarray:
    """Class means, all at the same distance from their centre, shape (classes, emotion_dims)."""
    size = max(classes - 1, effects.emotion_dims)
    corners = _simplex(classes) @ _rotation(rng, size)[: classes - 1, : effects.emotion_dims]
    return np.asarray(effects.separation * corners / np.linalg.norm(corners, axis=1, keepdims=True))


def _simplex(classes: int) -> np.ndarray:
    """Corners of a regular simplex around 0, shape (classes, classes - 1): the Helmert contrasts."""
    contrasts = np.triu(np.ones((classes, classes - 1)))
    below = np.arange(classes - 1)
    contrasts[below + 1, below] = -(below + 1.0)
    return np.asarray(contrasts / np.linalg.norm(contrasts, axis=0))


def _rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.asarray(np.linalg.qr(rng.normal(size=(size, size)))[0])


def _lists(values: np.ndarray, there: np.ndarray) -> pa.Array:
    """Vectors as a Parquet column; rounded, so that no platform's last digits change the fingerprint."""
    rounded = np.where(there[:, None], values.round(3), np.nan).astype(np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(rounded.ravel()), values.shape[1])


def _source(table: pa.Table, seed: int) -> str:
    labels = table["label"].to_pandas().value_counts()
    features = [name for name in table.column_names if name.startswith(tuple(f"{key}_" for key in DIMS))]
    return "\n".join(
        [
            "# Built-in corpus (synthetic)",
            f"Made up by `sweeper data synth`, seed {seed}; not speech. No licence needed.",
            "",
            *(__doc__ or "").strip().splitlines()[2:],
            "",
            f"- Columns: {', '.join(f'`{name}`' for name in table.column_names)}.",
            f"- Features: {', '.join(f'`{name}`' for name in features)}; a row all NaN is a missing modality.",
            f"- Rows: {table.num_rows}; speakers: {len(table['speaker'].unique())}; "
            f"sessions: {len(table['session'].unique())}; dialogues: {len(table['dialogue'].unique())}.",
            f"- Per label: {', '.join(f'{name} {count}' for name, count in labels.items())}, "
            f"(null) {table['label'].null_count}.",
            "",
        ]
    )
