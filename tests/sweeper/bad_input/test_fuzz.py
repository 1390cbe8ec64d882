"""Whatever bytes stand in a study, a corpus, an export, a model or a run: it is read, or refused as bad input.

Short by default; for hours of it::

    SWEEPER_FUZZ_EXAMPLES=100000 python -m pytest tests/sweeper/bad_input/test_fuzz.py -p no:xdist --timeout 0
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from bad_case import STUDY, sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper import predict, study, yamlfile
from sweeper.provenance import read as read_provenance
from sweeper.results import read_journal, read_status
from trainables import corpus
from trainables.errors import InputError

_ASKED = os.environ.get("SWEEPER_FUZZ_EXAMPLES")
_FUZZ = settings(
    max_examples=int(_ASKED or 40),
    deadline=None,
    derandomize=_ASKED is None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    sound(folder)
    return folder


def _read(reader: Callable[[], object]) -> None:
    """The only outcomes: it is read, or refused in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader()
        except InputError as error:
            if not str(error):
                raise


_PIECES = [
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b"\t",
    b"[",
    b"{",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!",
    b"!!int ",
    b"!!set ",
    b": ",
    b"- ",
]
_PIECES += [
    b".nan",
    b".inf",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"null",
    b"~",
    b"'",
    b'"',
    b"\xef\xbb\xbf",
    b"? ",
    b"|",
    b"%TAG ",
]
#: Where (as a share), how many bytes go, what comes.
_CHANGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(_PIECES) | st.binary(max_size=12))
CHANGES = st.lists(_CHANGE, min_size=1, max_size=6)


def mutated(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for at, gone, come in changes:
        start = int(at * len(content))
        content = content[:start] + come + content[start + gone :]
    return content


_SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()),
    st.sampled_from(["all", "best", "paper", "auto", "audio", "align.alpha", "s3://x", "~a", "", "..", "a\0"]),
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4),
    max_leaves=8,
)


def _paths(tree: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in items for path in ((*prefix, key), *_paths(value, (*prefix, key)))]


def _with(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A document with another value somewhere."""
    if not path:
        return value
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    changed[path[0]] = _with(tree[path[0]], path[1:], value)
    return changed


_DOCUMENT = yaml.safe_load(STUDY) | {
    "where": {"session": "s0"},
    "features": {"audio": "audio_toy"},
    "scheduler": {"kind": "race", "alpha": 0.05, "applies_to": ["search"], "grace_period": 2},
    "resources": {"concurrent": 1, "gpus_per_trial": 0, "side_by_side": 2},
    "failures": {"retries": 1, "limit": 3},
    "stages": {"folder": "x", "limit": "2 GB", "shared": True},
    "baselines": {"linear": {"fit.C": 0.1}},
    "search": {"space": {"align.alpha": {"low": 0.1, "high": 1.0}, "generate.depth": {"options": [1, 2]}}, "trials": 3},
}


@_FUZZ
@given(changes=CHANGES)
def test_a_study_of_changed_bytes(place: Path, changes: list[tuple[float, int, bytes]]) -> None:
    (place / "s.yaml").write_bytes(mutated(STUDY.encode(), changes))
    _read(lambda: study.load(place / "s.yaml"))


@_FUZZ
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_study_of_any_bytes(place: Path, content: bytes) -> None:
    (place / "s.yaml").write_bytes(content)
    _read(lambda: study.load(place / "s.yaml"))


@_FUZZ
@given(path=st.sampled_from([*_paths(_DOCUMENT), ("new",)]), value=VALUES)
def test_a_study_with_another_value(place: Path, path: tuple[Any, ...], value: Any) -> None:
    document = _with({**_DOCUMENT, "new": 0} if path == ("new",) else _DOCUMENT, path, value)
    _read(lambda: study.build(yamlfile.Document(place / "s.yaml", document)))


@_FUZZ
@given(assignments=st.lists(st.text(max_size=40) | st.builds(
    "{}={}".format, st.sampled_from([".".join(map(str, each)) for each in _paths(_DOCUMENT)]), st.text(max_size=20)
), max_size=3))  # fmt: skip
def test_settings_of_any_text(place: Path, assignments: list[str]) -> None:
    _read(lambda: study.load(place / "study.yaml", assignments))


def _load(folder: Path) -> None:
    """All that reads a corpus."""
    _read(lambda: corpus.load(folder))
    _read(lambda: corpus.inspect(folder))


@_FUZZ
@given(changes=CHANGES)
def test_a_corpus_of_changed_bytes(place: Path, changes: list[tuple[float, int, bytes]]) -> None:
    (place / "bytes").mkdir(exist_ok=True)
    content = (place / "toy" / "toy.parquet").read_bytes()
    (place / "bytes" / "x.parquet").write_bytes(mutated(content, changes))
    _load(place / "bytes")


@_FUZZ
@given(content=st.binary(max_size=300).map(lambda inner: b"PAR1" + inner + b"PAR1") | st.binary(max_size=300))
def test_a_corpus_of_any_bytes(place: Path, content: bytes) -> None:
    (place / "any").mkdir(exist_ok=True)
    (place / "any" / "x.parquet").write_bytes(content)
    _load(place / "any")


_FLOATS = st.floats(width=64) | st.none()
_COLUMNS = st.one_of(
    st.lists(st.text(max_size=4) | st.none(), min_size=12, max_size=12).map(lambda each: pa.array(each, pa.string())),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=12, max_size=12).map(pa.array),
    st.lists(_FLOATS, min_size=12, max_size=12).map(lambda each: pa.array(each, pa.float64())),
    st.lists(st.booleans() | st.none(), min_size=12, max_size=12).map(pa.array),
    st.lists(st.binary(max_size=4) | st.none(), min_size=12, max_size=12).map(pa.array),
    st.lists(st.datetimes() | st.none(), min_size=12, max_size=12).map(pa.array),
    st.lists(st.lists(_FLOATS, max_size=3) | st.none(), min_size=12, max_size=12).map(
        lambda each: pa.array(each, pa.list_(pa.float64()))
    ),
    st.lists(st.lists(_FLOATS, min_size=2, max_size=2) | st.none(), min_size=12, max_size=12).map(
        lambda each: pa.array(each, pa.list_(pa.float32(), 2))
    ),
    st.lists(st.lists(st.text(max_size=2), max_size=2), min_size=12, max_size=12).map(pa.array),
    st.just(pa.nulls(12)),
    st.just(pa.array(["a", "b"] * 6).dictionary_encode()),
)
_NAMES = (
    "utterance_id",
    "speaker",
    "session",
    "dialogue",
    "turn",
    "label",
    "split",
    "transcript",
    "audio_toy",
    "has_audio",
)


@_FUZZ
@given(name=st.sampled_from([*_NAMES, "audio_new", "text_new", "other"]), values=_COLUMNS, keep=st.integers(12, 12))
def test_a_corpus_with_another_column(place: Path, name: str, values: pa.Array, keep: int) -> None:
    (place / "column").mkdir(exist_ok=True)
    table = pq.read_table(place / "toy" / "toy.parquet").take(list(range(0, 96, 8)))
    if name in table.column_names:
        table = table.drop_columns([name])
    pq.write_table(table.append_column(name, values), place / "column" / "x.parquet")
    _load(place / "column")


def _csv(table: pa.Table) -> bytes:
    out = io.BytesIO()
    table.to_pandas().to_csv(out, index=False)
    return out.getvalue()


@_FUZZ
@given(changes=CHANGES)
def test_a_corpus_of_changed_text(place: Path, changes: list[tuple[float, int, bytes]]) -> None:
    (place / "text").mkdir(exist_ok=True)
    content = _csv(pq.read_table(place / "toy" / "toy.parquet"))
    (place / "text" / "x.parquet").write_bytes(mutated(content, changes))
    _load(place / "text")


@pytest.fixture(scope="module")
def model(trained: Any) -> dict[str, bytes]:
    return {name: (trained.model / name).read_bytes() for name in ("config.json", "model.safetensors")}


@_FUZZ
@given(name=st.sampled_from(["config.json", "model.safetensors"]), changes=CHANGES)
def test_a_model_of_changed_bytes(place: Path, model: dict, name: str, changes: list[tuple[float, int, bytes]]) -> None:
    (place / "model").mkdir(exist_ok=True)
    for each, content in model.items():
        (place / "model" / each).write_bytes(mutated(content, changes) if each == name else content)
    _read(lambda: predict.read(place / "model"))


@_FUZZ
@given(data=st.data(), value=VALUES)
def test_a_model_with_another_value(place: Path, model: dict, data: st.DataObject, value: Any) -> None:
    about = json.loads(model["config.json"])
    path = data.draw(st.sampled_from(_paths(about)))
    (place / "other").mkdir(exist_ok=True)
    (place / "other" / "model.safetensors").write_bytes(model["model.safetensors"])
    (place / "other" / "config.json").write_text(json.dumps(_with(about, path, value), default=str, skipkeys=True))
    _read(lambda: predict.read(place / "other"))


_EVENT = '{"event": "start", "arm": {"id": "a", "name": "b"}, "order": 2, "at": 1.5, "attempts": 0}\n'
_STATUS = {"state": "running", "host": "x", "pid": 1, "done": 1, "stopped": 0, "failed": 0, "running": 1, "planned": 3}


@_FUZZ
@given(changes=CHANGES)
def test_a_run_of_changed_bytes(place: Path, changes: list[tuple[float, int, bytes]]) -> None:
    run = place / "run"
    run.mkdir(exist_ok=True)
    (run / "journal.jsonl").write_bytes(mutated(_EVENT.encode() * 3, changes))
    (run / "status.json").write_bytes(mutated(json.dumps(_STATUS).encode(), changes))
    (run / "provenance.json").write_bytes(mutated(b'{"id": "a", "corpus": {"path": "x"}}', changes))
    _read(lambda: list(read_journal(run)))
    _read(lambda: read_status(run))
    _read(lambda: read_provenance(run))
