"""How long the report of a large run takes, and how much memory: `python benchmarks/report.py --arms 10000`.

The run is made up: a small one with planted effects (`tests/analysis/fake_run.py`), whose search arms are repeated
under other names and with other scores until there are enough. With `--run` it is kept and used again.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "analysis"))

#: Search arms of the small run.
SEARCH = 20
#: Columns of scores that are moved, by table.
SCORES = {"trials": ("score",), "folds": ("uar", "war", "wf1", "macro_f1"), "curves": ("dev_uar",), "speakers": ()}


def make(path: Path, arms: int, folds: int, seeds: int) -> Path:
    """Write a run of about so many arms, each trained on folds x seeds rows; returns its folder."""
    import fake_run

    plan = fake_run.Plan(name=f"{arms} arms", folds=folds, seeds=tuple(range(seeds)), search=SEARCH, stopped=1)
    fake_run.write(path, plan)
    tables = {name: pq.read_table(path / f"{name}.parquet") for name in SCORES}
    trials = tables["trials"]
    repeated = trials.filter(pc.and_(pc.equal(trials["kind"], "search"), pc.invert(trials["is_best"])))["arm"]
    copies = -(-(arms - len(trials)) // len(repeated))
    shift = np.random.default_rng(0).normal(-0.04, 0.02, (copies, len(repeated)))
    for name, table in tables.items():
        mine = table.filter(pc.is_in(table["arm"], repeated))
        places = pc.index_in(mine["arm"], repeated).to_numpy()
        parts = [_copy(mine, SCORES[name], index, shift[index, places]) for index in range(copies)]
        whole = _orders(pa.concat_tables([table, *parts]))
        if name == "trials":
            whole = _configs(whole, len(table))
        pq.write_table(whole, path / f"{name}.parquet")
    return path


def _configs(trials: pa.Table, first: int) -> pa.Table:
    """Trials whose configs from row `first` on are drawn anew."""
    rng = np.random.default_rng(1)
    texts = trials["config"].to_pylist()
    for place in range(first, len(texts)):
        config = json.loads(texts[place])
        config["align"] |= {"alpha": 10 ** rng.uniform(-1.5, 1.5), "temperature": 10 ** rng.uniform(-1.5, 0)}
        texts[place] = json.dumps(config)
    return trials.set_column(trials.column_names.index("config"), "config", pa.array(texts))


def _copy(table: pa.Table, scores: tuple[str, ...], index: int, shift: np.ndarray) -> pa.Table:
    """Rows under the names of other arms, their scores moved."""
    for name in ("arm", "name"):
        if name in table.column_names:
            texts = (pa.scalar(text, table.schema.field(name).type) for text in (f"{index}", "-"))
            column = pc.binary_join_element_wise(table[name], *texts)
            table = table.set_column(table.column_names.index(name), name, column)
    for name in scores:
        values = pc.add(table[name], pa.array(shift)).cast(table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), table.schema.field(name), values)
    return table


def _orders(table: pa.Table) -> pa.Table:
    """Arms start and end one after the other."""
    for name in ("started_order", "finished_order"):
        if name in table.column_names:
            order = pa.array(range(len(table)), table.schema.field(name).type)
            table = table.set_column(table.column_names.index(name), table.schema.field(name), order)
    return table


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--arms", type=int, default=10_000)
    options.add_argument("--folds", type=int, default=10)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--run", type=Path, help="where the run is, or is to be written and kept")
    options.add_argument("--json", action="store_true", help="only the numbers, no page and no figures")
    options.add_argument("--profile", action="store_true", help="say where the time goes, which takes time too")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = asked.run or Path(folder) / "run"
        if not (run / "trials.parquet").exists():
            make(run, asked.arms, asked.folds, asked.seeds)
        before, profile = _memory(), cProfile.Profile()
        from analysis import numbers, report

        start, used = time.perf_counter(), time.process_time()
        if asked.profile:
            profile.enable()
        if asked.json:
            numbers.read([run])
        else:
            report.write([run], Path(folder) / "report")
        profile.disable()
        taken = f"{time.perf_counter() - start:.1f} s ({time.process_time() - used:.1f} s of CPU)"
        rows = pq.read_metadata(run / "folds.parquet").num_rows
        arms = pq.read_metadata(run / "trials.parquet").num_rows
        print(f"{arms:,} arms, {rows:,} rows: {taken}, peak memory {_memory():.0f} MiB ({before:.0f} before)")
        if asked.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats("analysis", 60)


def _memory() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
