"""Tables of the arms that cannot be chosen: failed and flagged ones."""

from __future__ import annotations

from analysis import search
from analysis.findings import Findings
from analysis.table import Column, Table
from analysis.words import share

_NAME = Column("Arm", lambda r: str(r.name), numeric=False)
_KIND = Column("Kind", lambda r: str(r.kind), numeric=False)


def failed(found: Findings) -> Table | None:
    """Failed arms and why."""
    frame = search.failed(found.run)
    if frame.empty:
        return None
    epochs = Column("Epochs", lambda r: f"{r.epochs}")
    reason = Column("Reason", lambda r: r.reason, numeric=False)
    note = "They take part in no choice and no comparison."
    return Table("failed", "Failed arms", note, frame, (_NAME, _KIND, epochs, reason))


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
