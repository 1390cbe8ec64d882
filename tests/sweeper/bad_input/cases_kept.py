"""Exports, models and run folders that were damaged, swapped, or written by something else."""

# ruff: noqa: E501 (a table, one case a line)
from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from bad_case import Case, Spoil, cut_off, nothing, removed, write
from safetensors.numpy import load_file, save_file

_PICKLE = pickle.dumps(print)
_ABOUT, _WEIGHTS = "model/config.json", "model/model.safetensors"
_TRAIN = ("train", "best.yaml", "-o", "new")
_PREDICT = ("predict", "model", "toy", "-o", "new.parquet")


def _changed(name: str, change: Callable[[Any], object]) -> Spoil:
    """Change what a JSON or YAML file holds."""
    text = yaml.safe_dump if name.endswith(".yaml") else json.dumps

    def spoil(folder: Path) -> None:
        content = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        change(content)
        (folder / name).write_text(text(content), encoding="utf-8")

    return spoil


def _put(name: str, path: str, value: Any) -> Spoil:
    """Another value at a dotted path."""

    def change(content: Any) -> None:
        *sections, last = path.split(".")
        for section in sections:
            content = content[section]
        content[last] = value

    return _changed(name, change)


def _lost(name: str, path: str) -> Spoil:
    """A dotted path taken away."""

    def change(content: Any) -> None:
        *sections, last = path.split(".")
        for section in sections:
            content = content[section]
        del content[last]

    return _changed(name, change)


def _tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / _WEIGHTS)
        change(tensors)
        save_file(tensors, folder / _WEIGHTS)

    return spoil


def _first(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Change the first tensor of a model."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["align/W_y.weight"] = np.ascontiguousarray(change(tensors["align/W_y.weight"]))

    return _tensors(swap)


def _export(name: str, spoil: Spoil, *says: str, command: tuple[str, ...] = _TRAIN) -> Case:
    return Case(f"export: {name}", spoil, says, command, ("best.yaml",))


def _best(name: str, path: str, value: Any, *says: str) -> Case:
    return _export(name, _put("best.yaml", path, value), "best.yaml", *says)


def _model(name: str, spoil: Spoil, *says: str, command: tuple[str, ...] = _PREDICT) -> Case:
    return Case(f"model: {name}", spoil, says, command, ("model",))


def _config(name: str, path: str, value: Any, *says: str) -> Case:
    return _model(name, _put(_ABOUT, path, value), "config.json", *says, "train the model again")


def _swapped(folder: Path) -> None:
    (folder / _WEIGHTS).write_bytes((folder / "toy/toy.parquet").read_bytes())


def _other(folder: Path) -> None:
    """The weights of half the seeds."""
    _tensors(lambda tensors: tensors.update({name: each[:1] for name, each in tensors.items()}))(folder)


EXPORTS = (
    _export("empty", write("best.yaml", ""), "best.yaml: must hold keys and values"),
    _export("cut off", cut_off("best.yaml", 0.4), "best.yaml"),
    _export("binary", write("best.yaml", bytes(range(256))), "best.yaml: cannot be read as text"),
    _export("a pickle", write("best.yaml", _PICKLE), "best.yaml: cannot be read as text"),
    _export("a study", nothing, "study.yaml: is no exported configuration", command=("train", "study.yaml", "-o", "new")),
    _export("none", removed("best.yaml"), "best.yaml: there is no such file"),
    _export("a Python object", write("best.yaml", "!!python/object:os.system {}"), "best.yaml: no valid YAML"),
    _best("of another method", "method", "linear", "config", "no such field"),
    _best("of no method", "method", "resnet", "method: there is no 'resnet'"),
    _best("of another version", "method_version", 99, "is of version 99", "run the study again"),
    _best("version in words", "method_version", "one", "method_version: must be a whole number"),
    _best("an unknown field", "config.align.x", 1, "align.x: no such field"),
    _best("a weight of text", "config.align.alpha", "big", "align.alpha: must be a number, found 'big'"),
    _best("a weight negative", "config.align.alpha", -1, "align.alpha: must be at least 0"),
    _best("config a list", "config", [1], "config: must be a section", "export it again"),
    _best("no seeds", "seeds", [], "seeds", "export it again"),
    _best("seeds of text", "seeds", ["a"], "seeds.0: must be a whole number", "export it again"),
    _best("seeds twice", "seeds", [1, 1], "seeds", "twice"),
    _best("a seed beyond 64 bits", "seeds", [2**63], "best.yaml", "digits"),
    _best("epochs zero", "evidence.epochs.align", 0, "evidence.epochs.align: must be at least 1", "export it again"),
    _best("epochs beyond machines", "evidence.epochs.align", 2**40, "align.epochs: must be at most"),
    _best("columns empty", "corpus.columns", {}, "corpus.columns", "export it again"),
    _export("columns of no modality", _put("best.yaml", "corpus.columns", {"smell": "x"}), "has no smell features"),
    _best("corpus a list", "corpus", ["toy"], "corpus: must be", "export it again"),
    _export("a corpus that is gone", _put("best.yaml", "corpus.path", "gone"), "corpus gone: does not exist"),
    _export("a column that is gone", _put("best.yaml", "corpus.columns.audio", "audio_x"), "no column 'audio_x'"),
    _export("a field lost", _lost("best.yaml", "config.align.alpha"), "align.alpha: is missing; export it again"),
    _export("no evidence", _lost("best.yaml", "evidence"), "evidence: is required", "export it again"),
    _export("a split of no corpus", nothing, "--split train: corpus toy defines no splits",
            command=(*_TRAIN, "--split", "train")),
    _export("seeds of letters", nothing, "--seeds: must be whole numbers", command=(*_TRAIN, "--seeds", "a")),
    _export("seeds without end", nothing, "--seeds", command=(*_TRAIN, "--seeds", "9" * 5000)),
    _export("a seed too large", nothing, "--seeds: must be below", command=(*_TRAIN, "--seeds", "99999999999999999999")),
    _export("into a file", nothing, "study.yaml: is a file; name a folder",
            command=("train", "best.yaml", "-o", "study.yaml")),
    _export("into a folder of other things", nothing, "toy: holds other files",
            command=("train", "best.yaml", "-o", "toy")),
    _export("below a file", nothing, "study.yaml", "Not a directory",
            command=("train", "best.yaml", "-o", "study.yaml/new")),
    _export("into too long a name", nothing, "File name too long", command=("train", "best.yaml", "-o", "n" * 300)),
    _export("on no corpus", nothing, "corpus nowhere: does not exist", command=(*_TRAIN, "--corpus", "nowhere")),
)  # fmt: skip

MODELS = (
    _model("none", lambda folder: shutil.rmtree(folder / "model"), "is no model folder", "give a folder"),
    _model("without weights", removed(_WEIGHTS), "model.safetensors is missing"),
    _model("without config", removed(_ABOUT), "config.json is missing"),
    _model("weights empty", write(_WEIGHTS, b""), "model.safetensors: is damaged", "train the model again"),
    _model("weights cut off", cut_off(_WEIGHTS), "model.safetensors: is damaged", "train the model again"),
    _model("weights a pickle", write(_WEIGHTS, _PICKLE), "model.safetensors: is damaged", "train the model again"),
    _model("weights a zip of torch", write(_WEIGHTS, b"PK\x03\x04" + bytes(500)), "model.safetensors: is damaged"),
    _model("weights a corpus", _swapped, "model.safetensors: is damaged", "train the model again"),
    _model("weights a long header", write(_WEIGHTS, b"\xff" * 8 + bytes(50)), "model.safetensors: is damaged"),
    _model("weights a broken header", write(_WEIGHTS, (9).to_bytes(8, "little") + b'{"a": [}]'), "is damaged"),
    _model("no tensors", write(_WEIGHTS, (2).to_bytes(8, "little") + b"{}"), "model.safetensors", "train the model again"),
    _model("a tensor lost", _tensors(lambda each: each.pop("align/W_y.weight")), "model.safetensors",
           "train the model again"),
    _model("a stage lost", _tensors(lambda each: [each.pop(name) for name in list(each) if name[:5] == "align"]),
           "model.safetensors", "train the model again"),
    _model("a tensor of another shape", _first(lambda each: each[..., :-1]), "model.safetensors",
           "train the model again"),
    _model("a tensor of another rank", _first(np.ravel), "model.safetensors", "train the model again"),
    _model("a tensor of whole numbers", _first(lambda each: each.astype(np.int64)), "model.safetensors",
           "train the model again"),
    _model("a tensor of doubles", _first(lambda each: each.astype(np.float64)), "model.safetensors",
           "train the model again"),
    _model("a tensor not a number", _first(lambda each: each * np.nan), "model.safetensors", "train the model again"),
    _model("a tensor more", _tensors(lambda each: each.update({"align/x": np.zeros(3)})), "model.safetensors",
           "train the model again"),
    _model("weights of fewer seeds", _other, "model.safetensors", "train the model again"),
    _model("config empty", write(_ABOUT, ""), "config.json: is damaged", "train the model again"),
    _model("config cut off", cut_off(_ABOUT), "config.json: is damaged", "train the model again"),
    _model("config binary", write(_ABOUT, bytes(range(256))), "config.json: is damaged", "train the model again"),
    _model("config a pickle", write(_ABOUT, _PICKLE), "config.json: is damaged", "train the model again"),
    _model("config a list", write(_ABOUT, "[]"), "config.json", "train the model again"),
    _model("config a number", write(_ABOUT, "3"), "config.json", "train the model again"),
    _model("config nested without end", write(_ABOUT, "[" * 200_000), "config.json: is damaged"),
    _model("config the format alone", write(_ABOUT, '{"format": 2}'), "config.json", "is required"),
    _config("of another format", "format", 99, "is not of a model of format 2"),
    _config("of another method", "method", "linear", "edited"),
    _model("of no method", _put(_ABOUT, "method", "../x"), "config.json: method: there is no"),
    _config("method a list", "method", [], "method: must be text"),
    _model("of another version", _put(_ABOUT, "method_version", 99), "was trained with version 99", "train it again"),
    _config("swapped or edited", "config.align.hidden", [16], "swapped or edited"),
    _config("more layers", "config.align.hidden", [8, 8], "swapped or edited"),
    _config("other inputs", "config.augment.inputs", "audio+text", "model.safetensors"),
    _config("an unknown field", "config.align.x", 1, "edited"),
    _config("a field of text", "config.align.temperature", "warm", "edited"),
    _config("config no section", "config", 3, "config: must be a section"),
    _config("classes a number", "classes", 3, "classes: must be a list"),
    _config("a class more", "classes", ["angry", "sad", "glad"], "edited"),
    _config("no class", "classes", [], "classes"),
    _config("classes twice", "classes", ["sad", "sad"], "edited"),
    _config("columns a list", "columns", ["audio_toy"], "columns: must be a section"),
    _config("columns empty", "columns", {}, "columns"),
    _config("no size of a modality", "dims", {"text": 4}, "edited"),
    _config("sizes of text", "dims", {"audio": "five", "text": 4}, "dims.audio: must be a whole number"),
    _model("sizes of another corpus", _put(_ABOUT, "dims.audio", 7), "edited"),
    _model("for no corpus", nothing, "corpus nowhere: does not exist",
           command=("predict", "model", "nowhere", "-o", "new.parquet")),
    _model("into a folder", nothing, "toy: is a folder; name the file", command=("predict", "model", "toy", "-o", "toy")),
    _model("below a file", nothing, "study.yaml", command=("predict", "model", "toy", "-o", "study.yaml/x.parquet")),
    _model("an export instead", nothing, "is no model folder", command=("predict", "study.yaml", "toy", "-o", "new")),
)  # fmt: skip

_ALL = ("resume", "status", "export", "report")


def _frame(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Spoil:
    """Change a table of a run."""
    return lambda folder: change(pd.read_parquet(folder / name)).to_parquet(folder / name, index=False)


def _of(run: str, command: str) -> tuple[str, ...]:
    arguments = {"export": ("-o", "new.yaml"), "report": ("-o", "new"), "resume": ("--no-report",), "status": ()}
    return (command, run, *arguments[command])


def _run(
    name: str, spoil: Callable[[str], Spoil], *says: str, runs: tuple[str, ...] = ("whole",), to: tuple[str, ...]
) -> tuple[Case, ...]:
    """The same run folder, put to several commands."""
    return tuple(
        Case(f"run {run}: {name}, {command}", spoil(run), says, _of(run, command), (run,))
        for run in runs
        for command in to
    )


def _both(name: str, content: str | bytes) -> Callable[[str], Spoil]:
    return lambda run: write(f"{run}/{name}", content)


def _journal(change: Callable[[list[str]], list[str]]) -> Callable[[str], Spoil]:
    """Change the lines of the journal."""

    def spoiled(run: str) -> Spoil:
        def spoil(folder: Path) -> None:
            path = folder / run / "journal.jsonl"
            path.write_text("".join(change(path.read_text().splitlines(keepends=True))))

        return spoil

    return spoiled


def _foreign(folder: Path) -> None:
    """Arms of another run among the trials."""
    table = pq.read_table(folder / "whole/trials.parquet")
    arms = pa.array(["f" * 10] * len(table))
    pq.write_table(table.set_column(table.column_names.index("arm"), "arm", arms), folder / "whole/trials.parquet")


_CUT = ("cut",)
_TABLES = ("resume", "export", "report")

RUNS = (
    *_run("none", lambda run: lambda folder: shutil.rmtree(folder / run), "whole", to=_ALL),
    *_run("empty", lambda run: lambda folder: [each.unlink() for each in (folder / run).iterdir()], "whole", to=_ALL),
    *_run("provenance missing", lambda run: removed(f"{run}/provenance.json"), "whole", to=_TABLES),
    *_run("provenance empty", _both("provenance.json", ""), "provenance.json", to=_TABLES),
    *_run("provenance cut off", lambda run: cut_off(f"{run}/provenance.json"), "provenance.json", to=_TABLES),
    *_run("provenance a list", _both("provenance.json", "[]"), "provenance.json", to=_TABLES),
    *_run("provenance of nothing", _both("provenance.json", "{}"), "whole", to=_TABLES),
    *_run("provenance of something else", _both("provenance.json", '{"a": 1}'), "provenance.json", to=_TABLES),
    *_run("provenance a pickle", _both("provenance.json", _PICKLE), "provenance.json", to=_TABLES),
    *_run("study missing", lambda run: removed(f"{run}/study.yaml"), "study.yaml", to=("resume", "report")),
    *_run("study empty", _both("study.yaml", ""), "study.yaml", to=("resume", "report")),
    *_run("study cut off", lambda run: cut_off(f"{run}/study.yaml", 0.1), "study.yaml", to=("resume",)),
    *_run("study a pickle", _both("study.yaml", _PICKLE), "study.yaml", to=("resume", "report")),
    *_run("status empty", _both("status.json", ""), "status.json", to=("status",)),
    *_run("status cut off", lambda run: cut_off(f"{run}/status.json"), "status.json", to=("status",)),
    *_run("status a list", _both("status.json", "[]"), "status.json", to=("status",)),
    *_run("status of nothing", _both("status.json", "{}"), "status.json", to=("status",)),
    *_run("status a pickle", _both("status.json", _PICKLE), "status.json", to=("status",)),
    *_run("trials missing", lambda run: removed(f"{run}/trials.parquet"), "trials.parquet", to=_TABLES),
    *_run("trials of no arm", lambda run: _frame(f"{run}/trials.parquet", lambda t: t.head(0)), "trials.parquet",
          "folds.parquet holds", to=("resume",)),
    *_run("trials empty", _both("trials.parquet", b""), "trials.parquet", to=_TABLES),
    *_run("trials cut off", lambda run: cut_off(f"{run}/trials.parquet"), "trials.parquet", to=_TABLES),
    *_run("trials a CSV", _both("trials.parquet", "arm,name\n"), "trials.parquet", to=_TABLES),
    *_run("trials a corpus", lambda run: lambda folder: shutil.copy(folder / "toy/toy.parquet", folder / run / "trials.parquet"),
          "trials.parquet", to=_TABLES),
    *_run("trials without configs", lambda run: _frame(f"{run}/trials.parquet", lambda t: t.drop(columns="config")),
          "trials.parquet", to=_TABLES),
    *_run("trials with a broken config", lambda run: _frame(f"{run}/trials.parquet", lambda t: t.assign(config="{")),
          "trials.parquet", "config", to=_TABLES),
    *_run("folds missing", lambda run: removed(f"{run}/folds.parquet"), "folds.parquet", to=_TABLES),
    *_run("folds empty", _both("folds.parquet", b""), "folds.parquet", to=_TABLES),
    *_run("folds cut off", lambda run: cut_off(f"{run}/folds.parquet"), "folds.parquet", to=_TABLES),
    *_run("folds without scores", lambda run: _frame(f"{run}/folds.parquet", lambda t: t.drop(columns="uar")),
          "folds.parquet", to=_TABLES),
    *_run("curves missing", lambda run: removed(f"{run}/curves.parquet"), "curves.parquet", to=("resume", "report")),
    *_run("curves cut off", lambda run: cut_off(f"{run}/curves.parquet"), "curves.parquet", to=("resume", "report")),
    *_run("tables of two runs", lambda run: _foreign, "trials.parquet", to=("export", "report")),
    *_run("journal of no JSON", _journal(lambda lines: ["{\n", *lines]), "journal.jsonl", "line 1", runs=_CUT, to=("resume",)),
    *_run("journal cut off in the middle", _journal(lambda lines: [lines[0][:20] + "\n", *lines[1:]]), "journal.jsonl",
          "line 1", runs=_CUT, to=("resume",)),
    *_run("journal of lists", _journal(lambda lines: ["[]\n"]), "journal.jsonl", "line 1", runs=_CUT, to=("resume",)),
    *_run("journal of unknown arms", _journal(lambda lines: ['{"event": "start", "arm": {"id": 3}}\n']), "journal.jsonl",
          "line 1", runs=_CUT, to=("resume",)),
    *_run("journal of nothing", _journal(lambda lines: ["{}\n"]), "journal.jsonl", "line 1", runs=_CUT, to=("resume",)),
    *_run("journal binary", _both("journal.jsonl", bytes(range(128, 256)) + b"\n"), "journal.jsonl", runs=_CUT, to=("resume",)),
    *_run("trials cut off", lambda run: cut_off(f"{run}/trials.parquet"), "trials.parquet", runs=_CUT, to=_TABLES),
    *_run("folds cut off", lambda run: cut_off(f"{run}/folds.parquet"), "folds.parquet", runs=_CUT, to=_TABLES),
    *_run("curves cut off", lambda run: cut_off(f"{run}/curves.parquet"), "curves.parquet", runs=_CUT, to=("resume",)),
    *_run("embeddings cut off", lambda run: cut_off(f"{run}/embeddings.parquet"), "embeddings.parquet", runs=_CUT,
          to=("resume",)),
    Case("run: an arm of no run", nothing, ("--arm: there is no 'nobody'",),
         ("export", "whole", "-o", "new.yaml", "--arm", "nobody"), ("whole",)),
    Case("run: an arm of markup", nothing, ("--arm: there is no '<b>'",),
         ("export", "whole", "-o", "new.yaml", "--arm", "<b>"), ("whole",)),
    Case("run: export into a folder", nothing, ("toy: is a folder; name the file",),
         ("export", "whole", "-o", "toy"), ("whole",)),
    Case("run: export below a file", nothing, ("study.yaml",),
         ("export", "whole", "-o", "study.yaml/best.yaml"), ("whole",)),
    Case("run: report below a file", nothing, ("study.yaml",), ("report", "whole", "-o", "study.yaml/x"), ("whole",)),
    Case("run: report into a file", nothing, ("study.yaml",), ("report", "whole", "-o", "study.yaml"), ("whole",)),
    Case("run: numbers into a folder", nothing, ("--json: writes no file",),
         ("report", "whole", "--json", "-o", "new"), ("whole",)),
    Case("run: report of two, one broken", write("cut/provenance.json", "{"), ("cut/provenance.json",),
         ("report", "whole", "cut", "-o", "new"), ("whole", "cut")),
    Case("run: resume a corpus", nothing, ("toy", "holds no study.yaml"), ("resume", "toy")),
    Case("run: status of a corpus", nothing, ("toy", "holds no status.json"), ("status", "toy")),
    Case("run: report of a corpus", nothing, ("toy", "not a run folder"), ("report", "toy")),
    Case("run: resume a file", nothing, ("study.yaml",), ("resume", "study.yaml")),
    Case("run: another study into its folder", nothing, ("whole", "holds a run of another study", "under another name"),
         ("run", "study.yaml", "--set", "name=whole", "--set", "storage=."), ("whole",)),
    Case("run: a folder of other things", nothing, ("toy", "holds toy.parquet but no run", "under another name"),
         ("run", "study.yaml", "--set", "name=toy", "--set", "storage=.")),
)  # fmt: skip

CASES = (*EXPORTS, *MODELS, *RUNS)
