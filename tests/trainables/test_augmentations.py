"""Each augmentation against what it should do to noise and tones, computed another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables import augmentations as aug
from trainables.augmentations import AUGMENTATIONS, parse
from trainables.errors import InputError

RATES = pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
EACH = pytest.mark.parametrize("kind", AUGMENTATIONS)


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(hertz, rate, seconds=1.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def dominant(wave, rate):
    """The frequency of the highest peak of a long transform, in Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 19))
    return np.argmax(spectrum) * rate / (1 << 19)


def onset(wave, rate):
    """When a recording that begins silent reaches half its loudness, in seconds."""
    power = np.convolve(wave.astype(np.float64) ** 2, np.ones(rate // 100), "same")
    return np.argmax(power > power.max() / 2) / rate


def late_tone(rate):
    """Two seconds: silence, and from 1.0 s on a tone of 440 Hz."""
    wave = tone(440, rate, 2.0)
    wave[: len(wave) // 2] = 0
    return wave


# noise


@pytest.mark.parametrize("color", ["white", "pink"])
@pytest.mark.parametrize("snr", [-5, 0, 10, 35.5])
def test_the_signal_to_noise_ratio_is_what_was_asked_for(color, snr):
    for wave in (tone(300, 16_000), 1e-4 * tone(300, 16_000), rng(1).standard_normal(7).astype(np.float32)):
        noise = aug.add_noise(wave, rng(), snr=snr, color=color).astype(np.float64) - wave
        found = 10 * np.log10(np.sum(wave.astype(np.float64) ** 2) / np.sum(noise**2))
        assert found == pytest.approx(snr, abs=0.01)


@pytest.mark.parametrize(("color", "slope"), [("white", 0.0), ("pink", -1.0)])
def test_power_by_frequency(color, slope):
    wave = np.full(1 << 17, 1e-3, dtype=np.float32)
    noise = aug.add_noise(wave, rng(), snr=-20, color=color) - wave
    power = np.abs(np.fft.rfft(noise)[1:]) ** 2
    octaves = [power[1 << k : 2 << k].mean() for k in range(6, 16)]
    assert np.polyfit(np.arange(10), np.log2(octaves), 1)[0] == pytest.approx(slope, abs=0.05)


# speed, pitch, tempo


@RATES
@pytest.mark.parametrize("factor", [0.9, 1.1, 0.5, 1.37])
def test_speed_changes_length_and_pitch_together(rate, factor):
    changed = aug.change_speed(late_tone(rate), factor=factor)
    assert len(changed) == pytest.approx(2 * rate / factor, abs=1)
    assert dominant(changed, rate) == pytest.approx(440 * factor, rel=1e-3)
    assert onset(changed, rate) == pytest.approx(1 / factor, abs=0.01)


def test_speed_is_the_waveform_at_other_times():
    changed = aug.change_speed(tone(440, 16_000), factor=0.8)
    expected = 0.5 * np.sin(2 * np.pi * 440 * 0.8 * np.arange(len(changed)) / 16_000)
    assert np.abs(changed - expected)[50:-50].max() < 0.002


@RATES
@pytest.mark.parametrize("semitones", [2, -2, 7, -0.5])
def test_pitch_moves_frequencies_and_nothing_in_time(rate, semitones):
    wave = late_tone(rate)
    shifted = aug.shift_pitch(wave, rate, semitones=semitones)
    assert len(shifted) == len(wave)
    assert dominant(shifted, rate) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    assert onset(shifted, rate) == pytest.approx(1.0, abs=0.03)


@RATES
@pytest.mark.parametrize("factor", [0.9, 1.25, 2.0])
def test_stretching_moves_time_and_no_frequency(rate, factor):
    stretched = aug.stretch_time(late_tone(rate), rate, factor=factor)
    assert len(stretched) == round(2 * rate / factor)
    assert dominant(stretched, rate) == pytest.approx(440, rel=2e-3)
    assert onset(stretched, rate) == pytest.approx(1 / factor, abs=0.03)


def test_a_long_recording_is_stretched_as_cleanly_as_a_short_one():
    """Phases add up over frames, and their rounding is heard as noise: -40 dB after half a minute of float32."""
    rate = 16_000
    late = aug.stretch_time(tone(7_000, rate, 30), rate, factor=0.9)[-3 * rate : -rate].astype(np.float64)
    power = np.abs(np.fft.rfft(late * np.hanning(len(late)))) ** 2
    elsewhere = np.abs(np.fft.rfftfreq(len(late), 1 / rate) - 7_000) > 20
    assert 10 * np.log10(power[elsewhere].sum() / power.sum()) < -80


@pytest.mark.parametrize("text", ["stretch0.9", "stretch1.3", "pitch2", "pitch-3", "speed0.9"])
def test_a_voice_is_as_loud_as_before(text):
    """A vocoder alone takes half the power of speech, and loudness is a sign of emotion."""
    rate, made = 16_000, parse(text)
    pitch = 140 + 20 * np.sin(2 * np.pi * 3 * np.arange(rate) / rate)
    phases = 2 * np.pi * np.cumsum(pitch) / rate
    wave = sum(np.sin(number * phases) / number for number in range(1, 25)).astype(np.float32)
    ratio = np.mean(made(wave, rate, rng()).astype(np.float64) ** 2) / np.mean(wave.astype(np.float64) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(0, abs=0.3)


# masks


def test_masks_of_a_spectrogram_cover_what_they_may():
    shares = []
    for seed in range(400):
        kept = aug.mask_spectrogram(np.ones((80, 200)), rng(seed), time=0.2, frequency=0.3, masks=1)
        rows, columns = (kept == 0).all(1), (kept == 0).all(0)
        assert kept.sum() == (~rows).sum() * (~columns).sum()
        for line, most in ((rows, 24), (columns, 40)):
            assert line.sum() <= most
            assert np.abs(np.diff(np.r_[0, line, 0])).sum() in (0, 2), "one run"
        shares.append((rows.mean(), columns.mean()))
    # widths are even in 0 to 24 of 80 and 0 to 40 of 200
    assert np.mean(shares, axis=0) == pytest.approx([0.15, 0.1], rel=0.08)


def test_masks_fall_everywhere_and_there_are_as_many_as_asked_for():
    hit = np.zeros(50)
    runs = []
    for seed in range(200):
        columns = aug.mask_spectrogram(np.ones((4, 50)), rng(seed), time=0.1, frequency=0, masks=3)[0] == 0
        hit += columns
        runs.append(np.maximum(np.diff(np.r_[0, columns.astype(int), 0]), 0).sum())
    assert hit.min() > 0
    assert max(runs) == 3


def test_what_is_masked_holds_the_fill():
    spectrogram = rng().standard_normal((6, 9)).astype(np.float32)
    masked = aug.mask_spectrogram(spectrogram, rng(3), time=1, frequency=0, masks=4, fill=-7)
    assert ((masked == spectrogram) | (masked == -7)).all()
    assert (masked == -7).any()
    assert masked.dtype == np.float32


def test_a_masked_time_is_silent_in_the_waveform():
    rate, hop = 16_000, 128
    wave = rng(5).standard_normal(2 * rate).astype(np.float32)
    found = 0.0
    for seed in range(5):
        masked = aug.spec_augment(wave, rate, rng(seed), time=0.3, frequency=0, masks=1)
        frames = aug.mask_spectrogram(np.ones((80, 251)), rng(seed), time=0.3, frequency=0, masks=1)[0] == 0
        silent = np.zeros(len(wave), dtype=bool)
        for frame in np.flatnonzero(frames):
            # samples that no frame outside the mask reaches; a frame is 512 samples, around its number times the hop
            near = [other for other in range(frame - 2, frame + 3) if 0 <= other < 251]
            if frames[near].all():
                silent[max(0, frame * hop - hop // 2) : frame * hop + hop // 2] = True
        far = ~np.convolve(frames.repeat(hop)[: len(wave)], np.ones(2 * 512), "same").astype(bool)[: len(wave)]
        assert np.abs(masked[silent]).max(initial=0) < 1e-6
        assert np.allclose(masked[far], wave[far], atol=1e-5)
        found += silent.mean()
    assert found > 0.1, "masks of some width were drawn"


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_a_masked_band_is_missing_from_the_waveform(rate):
    wave = rng(6).standard_normal(4 * rate).astype(np.float32)
    masked = aug.spec_augment(wave, rate, rng(2), time=0, frequency=0.5, masks=1)
    channels = aug.mask_spectrogram(np.ones((80, 1)), rng(2), time=0, frequency=0.5, masks=1)[:, 0] == 0
    assert 5 < channels.sum() <= 40
    hertz = np.fft.rfftfreq(len(wave), 1 / rate)
    mel, top = (2595 * np.log10(1 + each / 700) for each in (hertz, rate / 2))
    first, last = np.flatnonzero(channels)[[0, -1]]
    inside = (mel > (first + 1.5) / 80 * top) & (mel < (last - 0.5) / 80 * top)
    outside = (mel < (first - 1.5) / 80 * top) | (mel > (last + 2.5) / 80 * top)
    before, after = (np.abs(np.fft.rfft(each)) ** 2 for each in (wave, masked))
    assert 10 * np.log10(after[inside].sum() / before[inside].sum()) < -20
    assert 10 * np.log10(after[outside].sum() / before[outside].sum()) == pytest.approx(0, abs=0.5)


# mixup


def test_mixup_is_the_mixture_and_the_other_is_repeated_or_cut():
    one, other = np.arange(5, dtype=np.float32), np.array([1.0, -1.0], dtype=np.float32)
    assert aug.mixup(one, other, share=0.75).tolist() == pytest.approx([0.25, 0.5, 1.75, 2.0, 3.25])
    assert aug.mixup(other, one, share=0.0).tolist() == [0, 1]
    assert aug.mixup(other, one, share=1.0).tolist() == other.tolist()
    with pytest.raises(ValueError, match="empty"):
        aug.mixup(one, other[:0], share=0.5)


def test_mixup_is_no_copy_that_could_be_stored():
    with pytest.raises(InputError, match=r"holds out.*augment\.source: mixup"):
        parse("mixup0.2")


# all of them


@EACH
@pytest.mark.parametrize("rate", [4_000, 11_025, 16_000, 96_000])
def test_silence_stays_silent_and_the_shortest_recordings_come_back(kind, rate):
    made = AUGMENTATIONS[kind]()
    for size in (0, 1, 3, 50, 1_000):
        for wave in (np.zeros(size, np.float32), rng(size).standard_normal(size).astype(np.float32)):
            copy = made(wave, rate, rng())
            assert copy.dtype == np.float32
            assert copy.ndim == 1
            assert np.isfinite(copy).all()
            assert len(copy) >= min(size, 1)
            assert wave.any() or not copy.any()


@EACH
def test_equal_generators_give_equal_copies_and_the_waveform_is_left_alone(kind):
    wave = rng().standard_normal(4_000).astype(np.float32)
    before, made = wave.copy(), AUGMENTATIONS[kind]()
    copies = [made(wave, 16_000, made.generator("u1")) for _ in range(2)]
    assert np.array_equal(*copies)
    assert np.array_equal(wave, before)
    assert copies[0].shape != wave.shape or not np.array_equal(copies[0], wave)


@pytest.mark.parametrize("kind", ["noise", "specaugment"])
def test_utterances_and_augmentations_draw_apart(kind):
    wave, made = rng().standard_normal(4_000).astype(np.float32), AUGMENTATIONS[kind]()
    one, other = (made(wave, 16_000, made.generator(name)) for name in ("u1", "u2"))
    assert not np.array_equal(one, other)
    assert parse("noise10").generator("u").random() != parse("noise20").generator("u").random()


def test_the_generator_is_the_same_everywhere():
    assert parse("noise10").generator("u1").random() == pytest.approx(0.2000788, abs=1e-7)


# names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("noise10", "noise10"),
        ("noise:snr=10", "noise10"),
        ("noise", "noise10"),
        ("noise-2.50:color=pink", "noise-2.5:color=pink"),
        ("noise:color=pink,snr=3", "noise3:color=pink"),
        ("speed1.1", "speed1.1"),
        ("pitch-2", "pitch-2"),
        ("stretch:factor=0.80", "stretch0.8"),
        ("specaugment:masks=1,time=0.05", "specaugment:time=0.05,masks=1"),
        ("specaugment:masks=2", "specaugment"),
    ],
)
def test_names_read_back(text, name):
    assert str(parse(text)) == name
    assert parse(name) == parse(text)


@EACH
@given(data=st.data())
def test_whatever_settings_read_back(kind, data):
    made = AUGMENTATIONS[kind]
    settings = {}
    for name, field in made.model_fields.items():
        bounds = {key: getattr(each, key) for each in field.metadata for key in ("ge", "le") if hasattr(each, key)}
        if field.annotation is float:
            settings[name] = data.draw(st.floats(bounds["ge"], bounds["le"]))
        else:
            settings[name] = data.draw(st.integers(1, 20) if name == "masks" else st.sampled_from(["white", "pink"]))
    whole = made(**settings)
    assert parse(str(whole)) == whole


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nois10", "there is no nois; did you mean noise"),
        ("Noise10", "did you mean noise10"),
        ("reverb", "there is noise10, speed0.9"),
        ("speed3", "factor should be less than or equal to 2, found '3'"),
        ("speed:factr=1", "did you mean factor"),
        ("noise10:snr=3", "write noise10"),
        ("specaugment2", "write specaugment:time="),
        ("specaugment:masks=x", "masks should be a valid integer"),
        ("noise:color=red", "'white' or 'pink'"),
        ("noise:color=red,", "'' is no setting"),
        ("noise:snr=nan", "finite"),
        ("noise10+speed0.9", "is no augmentation"),
        ("noise1e1", "is no augmentation"),
        ("", "is no augmentation"),
    ],
)
def test_other_texts_are_refused_in_one_line(text, said):
    with pytest.raises(InputError) as refused:
        parse(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert repr(text) in str(refused.value)
