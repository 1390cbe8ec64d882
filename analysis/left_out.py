"""Tables of the arms that cannot be chosen: failed and flagged ones."""

from __future__ import annotations

from analysis import search
from analysis.findings import Findings
from analysis.table import Column, Table
from analysis.words import share

#: More failed arms than this are listed by reason.
MANY = 10

_NAME = Column("Arm", lambda r: str(r.name), numeric=False)
_KIND = Column("Kind", lambda r: str(r.kind), numeric=False)


def failed(found: Findings) -> Table | None:
    """Failed arms and why; by reason where there are many."""
    frame = search.failed(found.run)
    if frame.empty:
        return None
    note = "They take part in no choice and no comparison."
    if len(frame) > MANY:
        return _by_reason(found, note)
    epochs = Column("Epochs", lambda r: f"{r.epochs}")
    reason = Column("Reason", lambda r: r.reason, numeric=False)
    return Table("failed", "Failed arms", note, frame, (_NAME, _KIND, epochs, reason))


def _by_reason(found: Findings, note: str) -> Table:
    frame = search.failures(found.run)
    columns = (
        Column("Reason", lambda r: r.reason, numeric=False),
        Column("Arms", lambda r: f"{r.arms:,}"),
        Column("Epochs", lambda r: f"{r.epochs_low:g}–{r.epochs_high:g}"),
        Column("Such as", lambda r: r.such_as, numeric=False),
    )
    note += " Reasons that differ in their numbers alone are one; epochs: fewest and most that the arms had seen."
    return Table("failed", f"Failed arms by reason ({found.saved.arms:,} arms begun)", note, frame, columns)


def flagged(found: Findings) -> Table | None:
    """Flagged arms, and which would have been chosen but for their flag."""
    frame = search.flagged(found.run)
    if frame.empty:
        return None
    score = Column("Dev score, %", lambda r: share(r.score))
    flags = Column("Flags", lambda r: r.flags, numeric=False)
    passed = Column("Passed over", lambda r: "yes" if r.passed_over else "no", numeric=False)
    note = "They cannot be chosen. Passed over: would have been chosen on its dev score but for its flag."
    return Table("flagged", "Flagged arms", note, frame, (_NAME, _KIND, score, flags, passed))
