"""Conventional augmentation of recordings: noise, speed, pitch, tempo, masks; and the names that they go by.

The functions are pure: a mono waveform, float32, shape (T,), in samples at a rate in Hz; another one out. What is
random comes from the `numpy.random.Generator` that is passed, and nothing else. Silence stays silent, an empty waveform
empty, and nothing is clipped: floats beyond 1 are no harm to an encoder, clipping is an augmentation of its own.

An `Augmentation` is one of them with its settings, and has a text form that reads back: ``noise10`` is
``noise:snr=10``. `parse` makes one of either. They are called with (waveform, rate, generator), and give features of
augmented copies through `sweeper data features --augment`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torchaudio.functional as audio
from pydantic import Field, ValidationError
from torch import Tensor

from trainables.copies import nearest
from trainables.errors import InputError
from trainables.section import Section
from trainables.stacking import seed_of

Color = Literal["white", "pink"]
#: Frames are this long, in seconds, up to the next power of two samples; they overlap by three quarters.
FRAME = 0.032
#: Ratios of rates are fractions with no larger denominator: within 0.2 % (3 cents) of what was asked for.
#: torchaudio's filters grow with both terms: for 16,000 : 17,959, as its own `pitch_shift` has it, beyond 1 GB.
DENOMINATOR = 300
#: Channels, evenly apart on the mel scale, that `spec_augment` masks, as many as SpecAugment's spectrograms have.
CHANNELS = 80


def add_noise(wave: np.ndarray, rng: np.random.Generator, *, snr: float, color: Color = "white") -> np.ndarray:
    """A recording with noise: its energy is that of the recording divided by 10 ** (snr / 10), over its whole length.

    Silence has no signal-to-noise ratio, and is given back as it is.

    Args:
        wave: Shape (T,).
        rng: Draws the noise.
        snr: Signal-to-noise ratio in dB.
        color: ``white``: the same power in every Hz; ``pink``: in every octave, as hum and traffic have it.

    Returns:
        Shape (T,).
    """
    if not wave.any():
        return wave.copy()
    noise = rng.standard_normal(len(wave))
    if color == "pink":
        noise = _pink(noise)
    clean, ratio = torch.from_numpy(wave.astype(np.float64)), torch.tensor(snr, dtype=torch.float64)
    return _wave(audio.add_noise(clean, torch.from_numpy(noise), ratio))


def _pink(white: np.ndarray) -> np.ndarray:
    """White noise filtered to a power of 1 / f; the constant part is weighed as the lowest frequency."""
    number = np.maximum(np.arange(len(white) // 2 + 1), 1)
    return np.fft.irfft(np.fft.rfft(white) / np.sqrt(number), len(white))


def change_speed(wave: np.ndarray, *, factor: float) -> np.ndarray:
    """A recording played faster or slower: tempo and pitch change together, by resampling.

    Source: Ko et al. 2015, who take 0.9 and 1.1.

    Args:
        wave: Shape (T,).
        factor: How many times as fast.

    Returns:
        Shape (about T / factor,), to be heard at the same rate.
    """
    return _wave(_resampled(torch.from_numpy(wave), _fraction(factor)))


def stretch_time(wave: np.ndarray, rate: int, *, factor: float) -> np.ndarray:
    """A recording spoken faster or slower at its own pitch, by torchaudio's phase vocoder.

    A vocoder without phase locking smears transients, and takes half the power from speech: bins of one voice drift out
    of step. The mean power is put back, since loudness says something about emotion.

    Args:
        wave: Shape (T,).
        rate: Samples a second.
        factor: How many times as fast.

    Returns:
        Shape (round(T / factor),), one sample at least.
    """
    return _wave(_stretched(wave, rate, factor))


def shift_pitch(wave: np.ndarray, rate: int, *, semitones: float) -> np.ndarray:
    """A recording with every frequency times 2 ** (semitones / 12), formants included, at its own length.

    Stretched in time, then resampled, as torchaudio's `pitch_shift` does; see `DENOMINATOR` for why not by that.

    Args:
        wave: Shape (T,).
        rate: Samples a second.
        semitones: Up; negative is down.

    Returns:
        Shape (T,).
    """
    ratio = _fraction(2 ** (semitones / 12))
    shifted = _wave(_resampled(_stretched(wave, rate, 1 / float(ratio)), ratio))
    return np.pad(shifted, (0, max(0, len(wave) - len(shifted))))[: len(wave)]


def mask_spectrogram(
    spectrogram: np.ndarray, rng: np.random.Generator, *, time: float, frequency: float, masks: int, fill: float = 0.0
) -> np.ndarray:
    """SpecAugment's masks on a spectrogram, without its time warping.

    Source: Park et al. 2019, section 2. Differs: widths are shares, since utterances are of all lengths.

    Args:
        spectrogram: Shape (channels, frames).
        rng: Draws the masks.
        time: A mask covers at most this share of the frames.
        frequency: A mask covers at most this share of the channels.
        masks: How many there are of each.
        fill: What masked places hold.

    Returns:
        Shape (channels, frames).
    """
    channels, frames = spectrogram.shape
    kept = _kept(channels, frames, rng, time=time, frequency=frequency, masks=masks)
    return np.where(kept, spectrogram, np.asarray(fill, dtype=spectrogram.dtype))


def spec_augment(
    wave: np.ndarray, rate: int, rng: np.random.Generator, *, time: float, frequency: float, masks: int
) -> np.ndarray:
    """SpecAugment on a waveform: masked in its short-time Fourier transform, which is then inverted.

    Channels are even on the mel scale, as they are there. What is masked is silent, not at the mean of a logarithmic
    spectrogram; and since frames overlap, a mask's last three hops fade instead of ending.

    Source: Park et al. 2019. Differs: as above, and see `mask_spectrogram`.

    Args:
        wave: Shape (T,).
        rate: Samples a second.
        rng: Draws the masks.
        time: A mask covers at most this share of the frames.
        frequency: A mask covers at most this share of the mel scale up to half the rate.
        masks: How many there are of each.

    Returns:
        Shape (T,).
    """
    if not len(wave):
        return wave.copy()
    spectrum = _spectrum(torch.from_numpy(wave.astype(np.float64)), rate)
    kept = _kept(CHANNELS, spectrum.shape[1], rng, time=time, frequency=frequency, masks=masks)
    return _wave(_inverse(spectrum * torch.from_numpy(kept[_channel(rate)]), rate, len(wave)))


def _kept(
    channels: int, frames: int, rng: np.random.Generator, *, time: float, frequency: float, masks: int
) -> np.ndarray:
    """What no mask covers, bool, shape (channels, frames)."""
    rows, columns = np.ones(channels, dtype=bool), np.ones(frames, dtype=bool)
    for _ in range(masks):
        rows[_span(channels, frequency, rng)] = False
        columns[_span(frames, time, rng)] = False
    return rows[:, None] & columns


def _span(size: int, most: float, rng: np.random.Generator) -> slice:
    """A mask: its width is even in 0 to most * size, its place even among those it fits."""
    width = int(rng.integers(int(most * size), endpoint=True))
    first = int(rng.integers(size - width, endpoint=True))
    return slice(first, first + width)


def _channel(rate: int) -> np.ndarray:
    """The mel channel of each frequency of a transform, shape (size // 2 + 1,)."""
    mel = np.log1p(np.fft.rfftfreq(_size(rate), 1 / rate) / 700)
    return np.minimum(mel / mel[-1] * CHANNELS, CHANNELS - 1).astype(np.int64)


def mixup(wave: np.ndarray, other: np.ndarray, *, share: float) -> np.ndarray:
    """The share of one recording plus the rest of another, which is repeated or cut to its length.

    Source: Zhang et al. 2018; the label is then the same mixture of both labels.

    It is no `Augmentation`: a stored copy of two utterances could hold one that a fold holds out, and has one label
    only. It is for training on recordings, between utterances of one train part; on features that is
    ``augment.source: mixup``.

    Args:
        wave: Shape (T,).
        other: At the same rate, shape (S,), S > 0.
        share: Of the first, in [0, 1].

    Returns:
        Shape (T,).
    """
    if not len(other):
        raise ValueError("mixup: the other waveform is empty")
    return (share * wave + (1 - share) * np.resize(other, len(wave))).astype(np.float32)


def _fraction(ratio: float) -> Fraction:
    return Fraction(ratio).limit_denominator(DENOMINATOR)


def _resampled(wave: Tensor, ratio: Fraction) -> Tensor:
    """Fewer samples by a ratio, low-passed before; (T,) to (ceil(T / ratio),)."""
    return audio.resample(wave, ratio.numerator, ratio.denominator) if len(wave) else wave


def _stretched(wave: np.ndarray, rate: int, factor: float) -> Tensor:
    # In float64: a vocoder adds up phases, which in float32 is noise at -33 dB after a minute of 7 kHz.
    signal = torch.from_numpy(wave.astype(np.float64))
    if not len(wave):
        return signal
    size = _size(rate)
    spectrum = _spectrum(torch.nn.functional.pad(signal, (0, size)), rate)
    advance = torch.linspace(0, math.pi * (size // 4), size // 2 + 1, dtype=torch.float64)[:, None]
    slower = _inverse(audio.phase_vocoder(spectrum, factor, advance), rate, max(1, round(len(wave) / factor)))
    return slower * _louder(signal, slower)


def _louder(before: Tensor, after: Tensor) -> Tensor:
    """What gives a waveform the mean power of another, shape (); 1 where either is silent."""
    ratio = before.square().mean() / after.square().mean()
    return torch.where(torch.isfinite(ratio) & (ratio > 0), ratio, 1.0).sqrt()


def _size(rate: int) -> int:
    return max(16, 2 ** math.ceil(math.log2(FRAME * rate)))


def _spectrum(signal: Tensor, rate: int) -> Tensor:
    """The short-time Fourier transform of Hann windows, shape (size // 2 + 1, frames), complex."""
    size = _size(rate)
    window = torch.hann_window(size, dtype=signal.dtype)
    # Zeros around it: reflected edges need half a frame of signal.
    return torch.stft(signal, size, size // 4, window=window, pad_mode="constant", return_complex=True)


def _inverse(spectrum: Tensor, rate: int, length: int) -> Tensor:
    size = _size(rate)
    window = torch.hann_window(size, dtype=torch.float64)
    return torch.istft(spectrum, size, size // 4, window=window, length=length)


def _wave(signal: Tensor) -> np.ndarray:
    return np.asarray(signal.to(torch.float32).numpy())


class Augmentation(Section):
    """An augmentation with its settings; call it with (waveform, rate, generator)."""

    #: What it is called.
    kind: ClassVar[str]
    #: The setting that may stand right behind the name; "" where none may.
    main: ClassVar[str] = ""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        """An augmented copy of a waveform.

        Args:
            wave: Mono, float32, shape (T,).
            rate: Samples a second.
            rng: Draws what is random.

        Returns:
            float32, shape (T',).
        """
        raise NotImplementedError

    def __str__(self) -> str:
        """Its shortest name, which `parse` reads back."""
        number = _written(getattr(self, self.main)) if self.main else ""
        fields = type(self).model_fields.items()
        others = {name: field for name, field in fields if name != self.main}
        said = [
            f"{name}={_written(getattr(self, name))}"
            for name, field in others.items()
            if getattr(self, name) != field.default
        ]
        return self.kind + number + (f":{','.join(said)}" if said else "")

    def generator(self, utterance: str) -> np.random.Generator:
        """What draws an utterance's copy: the same on every machine, in any order and any batch."""
        return np.random.default_rng(seed_of("augment", str(self), utterance))


class Noise(Augmentation):
    """Additive noise, `add_noise`."""

    kind, main = "noise", "snr"
    snr: float = Field(10.0, ge=-40, le=100)
    """Signal-to-noise ratio in dB."""
    color: Color = "white"
    """``white`` or ``pink``."""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        return add_noise(wave, rng, snr=self.snr, color=self.color)


class Speed(Augmentation):
    """Faster and higher, or slower and lower, `change_speed`."""

    kind, main = "speed", "factor"
    factor: float = Field(0.9, ge=0.5, le=2)
    """How many times as fast."""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        return change_speed(wave, factor=self.factor)


class Pitch(Augmentation):
    """Higher or lower at the same length, `shift_pitch`."""

    kind, main = "pitch", "semitones"
    semitones: float = Field(2.0, ge=-12, le=12)
    """Up; negative is down."""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        return shift_pitch(wave, rate, semitones=self.semitones)


class Stretch(Augmentation):
    """Faster or slower at the same pitch, `stretch_time`."""

    kind, main = "stretch", "factor"
    factor: float = Field(0.9, ge=0.5, le=2)
    """How many times as fast."""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        return stretch_time(wave, rate, factor=self.factor)


class SpecAugment(Augmentation):
    """Masks over time and frequency, `spec_augment`; the shares are near those of SpecAugment's policy SM."""

    kind = "specaugment"
    time: float = Field(0.2, ge=0, le=1)
    """A mask covers at most this share of the length."""
    frequency: float = Field(0.2, ge=0, le=1)
    """A mask covers at most this share of the mel scale."""
    masks: int = Field(2, ge=1, le=20)
    """How many there are over time, and as many over frequency."""

    def __call__(self, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        return spec_augment(wave, rate, rng, time=self.time, frequency=self.frequency, masks=self.masks)


AUGMENTATIONS: Mapping[str, type[Augmentation]] = {
    each.kind: each for each in (Noise, Speed, Pitch, Stretch, SpecAugment)
}
_FORM = re.compile(r"(?P<kind>[a-z_]+)(?P<number>-?\d+(\.\d+)?)?(:(?P<settings>.*))?")
_NO_COPIES = (
    "would mix utterances that a fold holds out into its train part; mixup of features is augment.source: mixup"
)


def parse(text: str) -> Augmentation:
    """The augmentation that a text names.

    Args:
        text: A kind, with the value of its main setting right behind it, others after a colon: ``speed0.9``,
            ``noise10:color=pink``, ``noise:snr=10,color=pink``, ``specaugment``.

    Raises:
        InputError: If there is no such kind or setting, or its value is refused.

    Example:
        >>> str(parse("noise:snr=10")), str(parse("pitch-2")), str(parse("specaugment:masks=2"))
        ('noise10', 'pitch-2', 'specaugment')
    """
    place, found = f"augment {text!r}", _FORM.fullmatch(text)
    if found is None:
        raise InputError(f"{place}: is no augmentation, such as {_examples()}{nearest(text, _texts())}")
    kind = found["kind"]
    if kind == "mixup":
        raise InputError(f"{place}: {_NO_COPIES}")
    if kind not in AUGMENTATIONS:
        raise InputError(f"{place}: there is no {kind}{nearest(kind, AUGMENTATIONS) or f'; there is {_examples()}'}")
    made = AUGMENTATIONS[kind]
    settings = _settings(place, made, found["settings"])
    if found["number"] is not None:
        if not made.main or made.main in settings:
            known = f"{kind}:{next(iter(made.model_fields))}=..." if not made.main else f"{kind}{found['number']}"
            raise InputError(f"{place}: has a number too many; write {known}")
        settings[made.main] = found["number"]
    try:
        return made.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Input ").partition(", unable")[0]
        raise InputError(f"{place}: {first['loc'][0]} {said}, found {first['input']!r}") from None


def _settings(place: str, made: type[Augmentation], written: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for each in [] if written is None else written.split(","):
        name, equals, value = each.partition("=")
        if not equals or name not in made.model_fields or name in settings:
            known = ", ".join(made.model_fields)
            raise InputError(
                f"{place}: {each!r} is no setting, or stands twice{nearest(name, made.model_fields)}; write "
                f"{made.kind}:name=value,name=value with names of {known}"
            )
        settings[name] = value
    return settings


def _written(value: Any) -> str:
    return value if isinstance(value, str) else np.format_float_positional(value, trim="-")


def _texts() -> list[str]:
    return [str(each()) for each in AUGMENTATIONS.values()]


def _examples() -> str:
    return ", ".join(_texts())
