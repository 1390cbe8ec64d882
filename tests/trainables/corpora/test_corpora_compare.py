"""Counts beside published ones, and why they differ."""

import pandas as pd
import pytest

from trainables.corpora import kinds
from trainables.corpora.compare import Left, compare
from trainables.corpora.reader import Published

PAPER = Published(
    title="part",
    source="a paper",
    counts={"angry": 2, "sad": 1},
    where={"scenario": "improvised"},
    groups={"session": ("S1", "S2")},
)
NOTHING = Left(broken=0, options=())


def utterances(*rows):
    return pd.DataFrame(rows, columns=["label", "scenario", "session"])


WHOLE = utterances(
    ("angry", "improvised", "S1"),
    ("angry", "improvised", "S2"),
    ("sad", "improvised", "S2"),
    ("sad", "scripted", "S2"),
    (None, "improvised", "S2"),
)


def test_equal_counts_need_no_reason():
    found = compare(PAPER, WHOLE, WHOLE[:0], NOTHING)
    assert found.equal
    assert found.reasons == ()


def test_a_class_that_the_paper_does_not_have_is_counted():
    found = compare(PAPER, pd.concat([WHOLE, utterances(("calm", "improvised", "S1"))]), WHOLE[:0], NOTHING)
    assert found.found == {"angry": 2, "sad": 1, "calm": 1}
    assert not found.equal


@pytest.mark.parametrize(
    ("table", "left", "reason"),
    [
        (WHOLE[WHOLE["session"] == "S1"], NOTHING, "the tree lacks 1 of 2 sessions (S2)"),
        (WHOLE[1:], Left(broken=3, options=()), "3 utterances left out because"),
        (
            WHOLE[1:],
            Left(broken=0, options=("seed=1",)),
            "options differ from the paper's: seed=1",
        ),
        (WHOLE[1:], NOTHING, "files missing from the tree"),
        (pd.concat([WHOLE, WHOLE]), NOTHING, "files added to the tree"),
    ],
)
def test_likely_reasons_are_named(table, left, reason):
    sessions = pd.concat([table, utterances((None, "scripted", "S1"))]) if reason != "S2" else table
    found = compare(PAPER, sessions, WHOLE[:0], left)
    assert not found.equal
    assert any(reason in each for each in found.reasons)


def test_short_utterances_count_where_the_paper_counts_them():
    published = Published(title="all", source="a paper", counts={"angry": 2, "sad": 3}, short_too=True)
    short = utterances(("sad", "improvised", "S1"))
    assert compare(published, WHOLE, short, NOTHING).equal
    assert not compare(published, WHOLE, short[:0], NOTHING).equal


def test_published_totals_are_those_of_the_papers():
    totals = {
        (kind, each.title): sum(each.counts.values()) for kind in kinds.KINDS for each in kinds.get(kind).published
    }
    assert totals["iemocap", "four classes, excitement with happiness"] == 5531
    assert totals["msp_improv", "Other-improvised, 1 s or longer"] == 3819
    assert totals["msp_improv", "four classes, all scenarios, short ones too"] == 7798
    assert [totals["meld", split] for split in ("train", "dev", "test")] == [9989, 1109, 2610]
    assert totals["emodb", "all of it"] == 535
    assert totals["ravdess", "speech"] == 1440


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_published_classes_are_those_of_the_default_options(kind):
    reader = kinds.get(kind)
    classes = set(reader.options().classes.values())
    for each in reader.published:
        assert each.source
        if each.column == "label":
            assert set(each.counts) == classes
