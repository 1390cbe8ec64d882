"""Vectors from files of other programs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trainables.errors import InputError
from trainables.extraction.tables import read

FACES = {"a": [1.0, 2.0], "b": [3.0, 4.0]}


def parquet(path):
    pd.DataFrame({"utterance_id": list(FACES), "face": list(FACES.values())}).to_parquet(path)


def columns(path):
    pd.DataFrame({"utterance_id": list(FACES), "x": [1, 3], "y": [2, 4], "who": ["p", "q"]}).to_csv(path, index=False)


def by_id(path):
    # Of b two frames, whose mean is its vector.
    np.savez(path, a=np.array([1.0, 2.0]), b=np.array([[2.0, 5.0], [4.0, 3.0]]))


def stacked(path):
    np.savez(path, utterance_id=np.array(["a", "b"]), features=np.array(list(FACES.values())))


@pytest.mark.parametrize(
    ("name", "write"),
    [("f.parquet", parquet), ("f.csv", columns), ("f.npz", by_id), ("g.npz", stacked)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_form_gives_the_same_vectors(tmp_path, name, write):
    write(tmp_path / name)
    made = read(tmp_path / name)
    assert {key: values.tolist() for key, values in made.items()} == FACES
    assert all(values.dtype == np.float32 for values in made.values())


def test_vectors_of_nan_are_missing(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones(2), b=np.full(2, np.nan))
    assert read(tmp_path / "f.npz").keys() == {"a"}


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"a": np.ones(2), "b": np.ones(3)}, "b has 3 values, a 2"),
        ({"a": np.array([1, np.nan])}, "a: holds NaN or infinite values in part"),
        ({"a": np.ones((2, 2, 2))}, r"a: has shape \(2, 2, 2\)"),
        ({"a": np.array(["x"])}, "a: holds no numbers"),
        ({"utterance_id": np.array(["a", "a"]), "features": np.ones((2, 2))}, "'a' occurs twice"),
        ({"utterance_id": np.array(["a"]), "features": np.ones((2, 2))}, "1 ids for 2 vectors"),
        ({}, "holds no vector"),
    ],
)
def test_what_is_wrong_inside_is_told(tmp_path, arrays, expected):
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(InputError, match=expected):
        read(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("f.npz", b"PK", "cannot be read as npz"),
        ("f.parquet", b"PAR1", "cannot be read"),
        ("f.csv", b"id,x\na,1\n", "no column utterance_id, found id, x"),
        ("f.csv", b"", "cannot be read"),
        ("f.mat", b"", "is no .npz"),
    ],
)
def test_files_of_no_use_are_told(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(InputError, match="cannot be read as npz"):
        read(tmp_path / "f.npz")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read(tmp_path / "f.npz")
