"""The table of the best arm's test speakers."""

from __future__ import annotations

import numpy as np

from analysis import by_speaker
from analysis.by_speaker import Spread
from analysis.findings import Findings
from analysis.table import Column, Table
from analysis.words import plural, share, with_spread

#: Lines printed; of more speakers, so many of the lowest and of the highest. The CSV has them all.
MOST, ENDS = 60, 15


def speakers(found: Findings) -> Table | None:
    """The best arm speaker by speaker on test, the lowest UAR first; nothing where they were not told apart."""
    between = found.speaker_spread
    if between is None:
        return None
    table = found.speakers.copy()
    for name in found.tested if found.several and found.best else []:
        table[f"uar {name}"] = by_speaker.summary(found.run, str(found.best), name)["uar"]
    frame = table.sort_values("uar", kind="stable").reset_index()
    every = len(found.run.classes)
    partial = bool((frame["classes"] < every).any())
    own_fold = bool((frame["fold"].astype(str) != frame["speaker"]).any())
    classes = list(found.run.classes)
    columns = (
        Column("Speaker", lambda r: str(r.speaker), numeric=False),
        *([Column("Fold", lambda r: str(r.fold), numeric=False)] if own_fold else []),
        Column("Test UAR, %", lambda r: with_spread(r.uar, r.uar_seed_std)),
        *([Column("Classes", lambda r: f"{r.classes} of {every}")] if partial else []),
        *(_recall(list(frame.columns).index(f"recall_{name}"), name) for name in classes),
        Column("Utterances", lambda r: f"{r.n:,}"),
    )
    printed = None
    note = "UAR over the classes that the speaker has, mean over seeds ± spread over seeds"
    note += f" ({found.over}); then recall by class, %." if found.several else "; then recall by class, %."
    if len(frame) > MOST:
        printed = (*range(ENDS), *range(len(frame) - ENDS, len(frame)))
        note += f" Printed: the {ENDS} lowest and the {ENDS} highest of {plural(len(frame), 'speaker')}."
    title = f"Test speakers of {found.name(found.best)}"
    return Table("speakers", title, f"{note} {in_words(between)}", frame, columns, printed)


def in_words(between: Spread) -> str:
    """How far speakers lie apart, beside what so few utterances each would make of speakers who are all alike."""
    text = f"Between the {plural(between.speakers, 'speaker')} UAR spreads by {share(between.std)} points"
    text += f" ({share(between.lowest)} to {share(between.highest)} %)"
    if np.isnan(between.chance):
        return f"{text}."
    return f"{text}; were all recognised alike, so few utterances each would make it up to {share(between.chance)}."


def _recall(place: int, name: str) -> Column:
    return Column(name, lambda row: share(row[place]))
