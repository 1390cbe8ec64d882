"""Packed or not, a growing table holds the rows it was given, in order, with their types."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper import growing
from sweeper.growing import Growing
from sweeper.tables import SCHEMAS


def curves(first: int, count: int) -> pa.Table:
    rows = [
        {
            "arm": f"arm{number}",
            "stage": "align",
            "epoch": number,
            "terms": [("alpha", [0.5, float(number)])],
            "rows": None if number % 3 else [0.25, number / 7],
        }
        for number in range(first, first + count)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["curves"])


@given(st.lists(st.integers(0, 25), max_size=12))
def test_rows_stay_as_they_were_given(sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "PACK", 7)
        patch.setattr(growing, "_LOOSE", 3)
        table, whole = Growing(), [SCHEMAS["curves"].empty_table()]
        for size in sizes:
            whole.append(curves(sum(map(len, whole)), size))
            table.add(whole[-1])
        parts = list(table.parts())
    assert all(part.schema == SCHEMAS["curves"] for part in parts)
    # Whole packs, then one part of what is left.
    assert [len(part) for part in parts[:-1]] == [7] * (len(parts) - 1)
    assert 0 not in map(len, parts)
    assert pa.concat_tables([whole[0], *parts]).equals(pa.concat_tables(whole))


def test_many_rows_take_little_room():
    table = Growing()
    row = {
        **{"name": "search 1", "kind": "search", "stage": "align", "final": True, "fold": "Ses01", "seed": 1},
        **{"split": "dev", "condition": "audio+text", "war": 0.5, "wf1": 0.5, "macro_f1": 0.5, "n": 100, "absent": 0},
        "confusion": [10] * 16,
        "epoch": 3,
    }
    rng, loose = np.random.default_rng(0), 0
    for arm in range(200):
        rows = [{**row, "arm": f"{arm:012x}", "uar": each} for each in rng.random(400)]
        rows = pa.Table.from_pylist(rows, schema=SCHEMAS["folds"])
        loose += rows.nbytes
        table.add(rows)
    # What waits to be packed is left out.
    packed = sum(each.size for each in table._packed)
    assert 60_000 <= sum(map(len, table.parts())) == 80_000
    assert packed < loose / 15
