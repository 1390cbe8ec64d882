"""What `sweeper data features` refuses before any work, and says at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from sweeper import extracting
from sweeper.extracted import Outcome, Progress, closing
from trainables.errors import InputError

AUDIO = Outcome(
    "audio_x", Path("c/audio_x.parquet"), size=4, utterances=30, seconds=200.0, wall=10.0, start=3.0, actors=2
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "no encoder: give --audio"),
        ({"audio": "mfcc", "text": "bert", "layer": 1}, "--layer: which of --audio and --text is meant"),
        ({"audio": "mfcc", "video": Path("f.npz"), "column": "x"}, "--column: which of --audio and --video"),
        ({"text": "bert", "augment": ("noise10",)}, "--augment: changes recordings"),
        ({"audio": "mfcc", "batch_seconds": 0.0}, "--batch-seconds: must be at least 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_the_corpus_is_looked_for(tmp_path, options, expected):
    with pytest.raises(InputError) as error:
        list(extracting.run(tmp_path / "missing", **options, console=Console()))
    assert str(error.value).startswith(expected)


def test_speed_is_told_as_utterances_a_second_and_real_time_factor():
    assert list(closing(AUDIO)) == [
        "c/audio_x.parquet: audio_x, 4 values, 30 utterances",
        "200.0 s of speech in 10.0 s: real-time factor 0.0500, 3.0 utterances/s (start 3.0 s, 2 actors)",
    ]


def test_what_was_left_out_is_told():
    skipped = {f"u{number}": "is damaged" for number in range(5)}
    told = list(closing(Outcome("text_x", Path("x"), size=4, kept=10, missing=2, skipped=skipped, notes=("look",))))
    assert told == [
        "x: text_x, 4 values, 10 utterances, 10 of them kept from before, 2 without a source (null), 5 broken (null)",
        *(f"skipped u{number}: is damaged" for number in range(3)),
        "skipped 2 more; the file's metadata names them",
        "note: look",
    ]


def test_the_bar_tells_how_fast_it_goes_and_how_long_it_takes():
    assert extracting.words(Progress(5, 10, 60.0, 30.0, 3_725.2)) == "2.0 s of speech a second, 1:02:05 left"
    assert extracting.words(Progress(0, 10, 0.0, 0.0, 0.0)) == ""
