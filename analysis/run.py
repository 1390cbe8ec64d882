"""A run folder read into memory: its tables, its study and its provenance, checked and otherwise untouched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analysis.errors import ReportError

METRICS = ("uar", "war", "wf1", "macro_f1")

_TRIALS = (
    *("arm", "name", "kind", "parent", "parameter", "value", "status", "reason", "flags", "config", "changed"),
    *("score", "epochs", "epochs_planned", "seconds", "finished_order", "is_reference", "is_best"),
)
_FOLDS = (
    *("arm", "name", "kind", "stage", "final", "fold", "seed", "split", "condition", *METRICS),
    *("n", "confusion", "epoch"),
)
_CURVES = ("arm", "stage", "epoch", "budget", "dev_uar", "rows")
_DIAGNOSTICS = ("arm", "fold", "seed", "stage", "measure", "label", "value")
_SPEAKERS = ("arm", "fold", "seed", "condition", "speaker", "n", "confusion")
_EMBEDDINGS = ("arm", "fold", "seed", "kind", "label", "vector")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The tables of one run.

    Attributes:
        path: The run folder.
        name: The study's name.
        study: The resolved study.
        provenance: Versions, corpus, folds, rows, search space, ablation claims.
        trials: One row an arm; ``flags`` are tuples, ``config`` and ``changed`` mappings of paths to values.
        folds: One row an arm x stage x fold x seed x split x condition; metrics are shares in [0, 1].
        confusions: Confusion counts of each row of `folds` by position, shape (len(folds), C, C), truth first.
        speakers: One row an arm x condition x fold x seed x speaker of the fold's test part, of the arm's last
            stage; empty for runs of before they were counted.
        speaker_confusions: Confusion counts of each row of `speakers` by position, shape (len(speakers), C, C).
        curves: One row an arm x epoch.
        curve_rows: Dev UAR by fold-seed row of each row of `curves` by position, shape (len(curves), R);
            NaN where an epoch classified nothing.
        diagnostics: Measures of finished stages; may be empty.
        embeddings: Vectors kept for figures; may be empty.
        status: The last progress written by the runner; may be empty.
        finished: Whether the run has come to its end.
    """

    path: Path
    name: str
    study: Mapping[str, Any]
    provenance: Mapping[str, Any]
    trials: pd.DataFrame
    folds: pd.DataFrame
    confusions: np.ndarray
    speakers: pd.DataFrame
    speaker_confusions: np.ndarray
    curves: pd.DataFrame
    curve_rows: np.ndarray
    diagnostics: pd.DataFrame
    embeddings: pd.DataFrame
    status: Mapping[str, Any]
    finished: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The corpus's classes, in the order of the confusion counts."""
        return tuple(self.provenance["corpus"]["classes"])

    @property
    def rows(self) -> list[tuple[str, int]]:
        """(fold name, seed) of each row, fold-major."""
        return [(str(fold), int(seed)) for fold, seed in self.provenance["rows"]]

    @cached_property
    def final(self) -> pd.DataFrame:
        """The rows of `folds` that belong to the last stage of their arm, under their positions in `folds`."""
        return self.folds[self.folds["final"]]

    @cached_property
    def curve_places(self) -> Mapping[str, np.ndarray]:
        """Positions in `curves` of each arm's rows."""
        return cast("Mapping[str, np.ndarray]", self.curves.groupby("arm", sort=False, observed=True).indices)

    def arm(self, arm: str) -> pd.Series:
        """The row of `trials` of one arm.

        Raises:
            ReportError: If the run has no such arm.
        """
        place = self._places.get(arm)
        if place is None:
            raise ReportError(f"{self.path}: there is no arm {arm!r} in trials.parquet")
        return self.trials.iloc[place]

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Positions in `trials` of the arms."""
        return {arm: place for place, arm in enumerate(self.trials["arm"])}


def load(path: str | Path) -> Run:
    """Read a run folder.

    Args:
        path: The folder that holds ``trials.parquet``; the run may still be going on.

    Raises:
        ReportError: If it is not a run folder, or one whose tables are not there yet or do not fit together.
    """
    path = Path(path)
    _check_folder(path)
    provenance = _read_json(path / "provenance.json", required=True)
    _check_provenance(path, provenance)
    study = _read_yaml(path / "study.yaml")
    trials = _trials(path / "trials.parquet")
    folds, confusions = _folds(path / "folds.parquet", provenance)
    speakers, speaker_confusions = _speakers(path / "speakers.parquet", provenance)
    curves, curve_rows = _curves(path / "curves.parquet", len(provenance["rows"]))
    finished = bool(provenance.get("finished_at")) and not (path / "journal.jsonl").exists()
    if finished:
        _check_arms(path, trials, {"folds": folds, "speakers": speakers, "curves": curves})
    else:
        # Trials are written last: a run that is cut off between tables has rows of arms it does not count yet.
        kept = folds["arm"].isin(trials["arm"]).to_numpy(), curves["arm"].isin(trials["arm"]).to_numpy()
        folds, confusions = folds[kept[0]].reset_index(drop=True), confusions[kept[0]]
        told = speakers["arm"].isin(trials["arm"]).to_numpy()
        speakers, speaker_confusions = speakers[told].reset_index(drop=True), speaker_confusions[told]
        curves, curve_rows = curves[kept[1]].reset_index(drop=True), curve_rows[kept[1]]
    _check_once(path, trials)
    return Run(
        path=path,
        name=str(study.get("name", path.resolve().name)),
        study=study,
        provenance=provenance,
        trials=trials,
        folds=folds,
        confusions=confusions,
        speakers=speakers,
        speaker_confusions=speaker_confusions,
        curves=curves,
        curve_rows=curve_rows,
        diagnostics=_optional(path / "diagnostics.parquet", _DIAGNOSTICS),
        embeddings=_optional(path / "embeddings.parquet", _EMBEDDINGS),
        status=_read_json(path / "status.json", required=False),
        finished=finished,
    )


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise ReportError(f"{path}: there is no such folder; give the folder of a run, such as runs/NAME")
    if not (path / "provenance.json").exists():
        inside = sorted(item.parent.name for item in path.glob("*/provenance.json"))
        hint = f"did you mean one of the runs in it ({', '.join(inside[:5])})?" if inside else "give a run's folder"
        raise ReportError(f"{path}: this is not a run folder, it holds no provenance.json; {hint}")
    missing = [name for name in ("trials", "folds", "curves") if not (path / f"{name}.parquet").exists()]
    if missing:
        names = ", ".join(f"{name}.parquet" for name in missing)
        raise ReportError(f"{path}: {names} is not written yet; wait for the first arm to end, or resume the run")


def _check_provenance(path: Path, provenance: Mapping[str, Any]) -> None:
    for key in ("corpus", "rows", "folds"):
        if key not in provenance:
            raise ReportError(f"{path / 'provenance.json'}: the key {key!r} is missing; was it written by sweeper?")
    if not provenance["corpus"].get("classes") or not provenance["rows"]:
        raise ReportError(f"{path / 'provenance.json'}: names no classes or no rows; the run never began")


def _read_json(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not required:
            return {}
        raise ReportError(f"{path}: there is no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        if not required:
            return {}
        raise ReportError(f"{path}: is not JSON ({error}); the run's writing of it was cut short") from None
    if not isinstance(found, dict):
        raise ReportError(f"{path}: holds a {type(found).__name__}, expected a mapping")
    return found


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{path}: there is no such file; is this a run folder?") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(found, dict):
        raise ReportError(f"{path}: holds a {type(found).__name__}, expected a mapping")
    return found


def _read_table(
    path: Path, columns: tuple[str, ...], also: tuple[str, ...] = (), repeated: tuple[str, ...] = ()
) -> pa.Table:
    """Columns of a table, those of `also` where they are there; texts that repeat are read as numbers, once each."""
    try:
        # Opened once: of a run under way, a path may lead to another table from one moment to the next.
        with pa.OSFile(str(path)) as file:
            table = pq.ParquetFile(file, read_dictionary=list(repeated))
            there = table.schema_arrow.names
            missing = [name for name in columns if name not in there]
            if missing:
                raise ReportError(f"{path}: lacks the column {', '.join(missing)}; was it written by sweeper?")
            return table.read(columns=[*columns, *(name for name in also if name in there)])
    except (pa.ArrowInvalid, OSError) as error:
        raise ReportError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None


def _optional(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame({name: [] for name in columns})
    return _read_table(path, columns).to_pandas()


def _trials(path: Path) -> pd.DataFrame:
    also = ("epochs_trained", "epochs_reused", "started_at", "finished_at", "started_order", "attempts", "host")
    trials = _read_table(path, _TRIALS, also).to_pandas()
    for name in ("parent", "reason", "parameter", "value"):
        trials[name] = trials[name].fillna("").astype(str)
    trials["flags"] = [tuple(flags) if flags is not None else () for flags in trials["flags"]]
    for name in ("config", "changed"):
        trials[name] = pd.Series(_mappings(path, name, trials[name]), index=trials.index, dtype=object)
    for name in ("is_reference", "is_best"):
        trials[name] = trials[name].fillna(False).astype(bool)
    for name, default in (("epochs_trained", trials["epochs"]), ("epochs_reused", 0)):
        if name not in trials:
            trials[name] = default
    trials["score"] = trials["score"].astype(float)
    return trials


def _mappings(path: Path, column: str, texts: pd.Series) -> list[dict[str, Any]]:
    try:
        return [flat(json.loads(text)) if isinstance(text, str) and text else {} for text in texts]
    except (json.JSONDecodeError, AttributeError) as error:
        raise ReportError(f"{path}: a value of column {column!r} is not a JSON mapping ({error})") from None


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as paths and values: ``{"align": {"alpha": 1}}`` becomes ``{"align.alpha": 1}``."""
    paths: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            paths |= flat(value, f"{prefix}{key}.")
        else:
            paths[f"{prefix}{key}"] = value
    return paths


def _folds(path: Path, provenance: Mapping[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    texts = ("arm", "name", "kind", "stage", "split", "condition")
    table = _read_table(path, _FOLDS, repeated=(*texts, "fold"))
    counts = _counts(path, table, provenance, np.int64)
    folds = _with_categories(table.drop_columns(["confusion"]).to_pandas(), texts, provenance)
    folds["final"] = folds["final"].astype(bool)
    return folds, counts


def _speakers(path: Path, provenance: Mapping[str, Any]) -> tuple[pd.DataFrame, np.ndarray]:
    classes = len(provenance["corpus"]["classes"])
    if not path.exists():
        nothing: np.ndarray = np.zeros((0, classes, classes), dtype=np.int32)
        return pd.DataFrame({name: [] for name in _SPEAKERS if name != "confusion"}), nothing
    texts = ("arm", "condition", "speaker")
    table = _read_table(path, _SPEAKERS, repeated=(*texts, "fold"))
    counts = _counts(path, table, provenance, np.int32)
    return _with_categories(table.drop_columns(["confusion"]).to_pandas(), texts, provenance), counts


def _with_categories(frame: pd.DataFrame, texts: Sequence[str], provenance: Mapping[str, Any]) -> pd.DataFrame:
    """A table whose texts are categories in their own order, and whose folds are in the order of the protocol."""
    for name in texts:
        values = frame[name].astype("category")
        frame[name] = values.cat.reorder_categories(sorted(values.cat.categories))
    frame["fold"] = _ordered(frame["fold"].astype("category"), [str(fold) for fold, _ in provenance["rows"]])
    return frame


def _counts(path: Path, table: pa.Table, provenance: Mapping[str, Any], dtype: type) -> np.ndarray:
    """The confusions of a table, shape (rows, C, C)."""
    classes = len(provenance["corpus"]["classes"])
    counts = _matrix(table.column("confusion"), classes * classes, dtype)
    if counts is None:
        raise ReportError(f"{path}: a confusion does not hold {classes} x {classes} counts")
    return counts.reshape(-1, classes, classes)


def _ordered(values: pd.Series, names: Sequence[str]) -> pd.Series:
    """Fold names as a category in the order of the protocol, so that tables keep it."""
    known = dict.fromkeys([*names, *map(str, values.cat.categories)])
    return values.cat.rename_categories(str).cat.set_categories(list(known), ordered=True)


def _curves(path: Path, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    table = _read_table(path, _CURVES)
    values = _matrix(table.column("rows"), rows, np.float64)
    if values is None:
        raise ReportError(f"{path}: an epoch's dev UAR does not hold one value for each of the {rows} rows")
    return table.drop_columns(["rows"]).to_pandas(), values


def _matrix(column: pa.ChunkedArray, width: int, dtype: type) -> np.ndarray | None:
    """Lists of one length as a matrix, without a Python object a row; NaN (0 for integers) where null or empty.

    None where a list has another length.
    """
    empty = np.nan if np.issubdtype(dtype, np.floating) else 0
    if pa.types.is_null(column.type):
        return np.full((len(column), width), empty, dtype=dtype)
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], column.type)
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if not np.isin(lengths, (0, width)).all():
        return None
    values = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if (lengths == width).all():
        return values.astype(dtype, copy=False)
    matrix: np.ndarray = np.full((len(column), width), empty, dtype=dtype)
    matrix[lengths == width] = values
    return matrix


def _check_once(path: Path, trials: pd.DataFrame) -> None:
    if trials["arm"].duplicated().any():
        twice = trials["arm"][trials["arm"].duplicated()].iloc[0]
        raise ReportError(f"{path / 'trials.parquet'}: the arm {twice} stands there twice")


def _check_arms(path: Path, trials: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> None:
    known = set(trials["arm"])
    for name, table in tables.items():
        foreign = sorted(set(table["arm"].unique()) - known)
        if foreign:
            raise ReportError(
                f"{path / name}.parquet: the arm {foreign[0]} is not in trials.parquet; are the tables of one run?"
            )
