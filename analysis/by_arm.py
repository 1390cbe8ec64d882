"""Tables with one line an arm: recall of every class, and what the stages measured."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import aggregate
from analysis import diagnostics as measured
from analysis.conditions import tested
from analysis.findings import Findings, Shown
from analysis.table import Column, Table, spread_column
from analysis.words import plain_with_spread


def _line(one: Shown) -> dict[str, Any]:
    return {"arm": one.arm, "row": one.label, "control": one.control}


_ARM = Column("Arm", lambda r: r.row + (" †" if r.control else ""), numeric=False)


def recalls(found: Findings) -> Table | None:
    """Test recall by class of every arm shown."""
    lines = [line for one in found.shown if len(line := _recall_line(found, one)) > len(_line(one))]
    if len(lines) < 2:
        return None
    frame = pd.DataFrame(lines)
    classes = [name for name in found.run.classes if f"recall_{name}" in frame]
    partial = len(set(frame["conditions"])) > 1
    columns = (
        _ARM,
        *([Column("Conditions", lambda r: r.conditions, numeric=False)] if partial else []),
        *(spread_column(frame, name, f"recall_{name}") for name in classes),
        spread_column(frame, "UAR", "uar"),
    )
    note = "In %: mean over folds of the mean over seeds ± spread over folds, on test"
    note += f" ({found.over})" if found.several else ""
    note += "; arms are tested in the conditions named, and their UAR is the mean over these." if partial else "."
    return Table("recalls_by_arm", "Test recall by class, arm by arm", note + _control(frame), frame, columns)


def _recall_line(found: Findings, one: Shown) -> dict[str, Any]:
    line, table = _line(one), aggregate.recalls(found.run, one.arm)
    for label, row in table[table["n"] > 0].iterrows():
        line |= {f"recall_{label}": row["recall"], f"recall_{label}_fold_std": row["recall_fold_std"]}
    if len(line) > len(_line(one)):
        line["conditions"] = ", ".join(tested(found.run, one.arm))
        line |= {"uar": found.number(one.arm, "uar"), "uar_fold_std": found.number(one.arm, "uar_fold_std")}
    return line


def _control(frame: pd.DataFrame) -> str:
    return " † a control, not a row of the paper." if frame["control"].any() else ""


def diagnostics(found: Findings) -> Table | None:
    """What the stages of every arm shown measured; what is measured in parts is averaged over them."""
    values = {one.arm: measured.averages(found.run, one.arm) for one in found.shown}
    shown = [one for one in found.shown if one.own and values[one.arm]]
    if len(shown) < 2:
        return None
    names = _in_order(found, {name for one in shown for name in values[one.arm]})
    frame = pd.DataFrame([_line(one) | _values(values[one.arm], names) for one in shown])
    known = measured.words(found.run)
    columns = (
        _ARM,
        *(spread_column(frame, known.get(name, (name, ""))[0], name, plain_with_spread) for name in names),
    )
    note = "Mean over folds of the mean over seeds ± spread over folds; what is measured in parts, such as class by "
    note += f"class, is averaged over them.{_meanings(found, names)}"
    return Table("diagnostics_by_arm", "Measured, arm by arm", note + _control(frame), frame, columns)


def _meanings(found: Findings, names: list[str]) -> str:
    """What the measures say that the table of one arm does not explain."""
    explained, known = {one.measure for one in found.measures}, measured.words(found.run)
    return "".join(f" {known[n][0]}: {known[n][1].rstrip('.')}." for n in names if n in known and n not in explained)


def _in_order(found: Findings, names: set[str]) -> list[str]:
    known = [name for name in measured.words(found.run) if name in names]
    return known + sorted(names - set(known))


def _values(measures: dict[str, tuple[float, float]], names: list[str]) -> dict[str, float]:
    nothing = (float("nan"), float("nan"))
    pairs = {name: measures.get(name, nothing) for name in names}
    return {
        key: value for name, (mean, std) in pairs.items() for key, value in ((name, mean), (f"{name}_fold_std", std))
    }
