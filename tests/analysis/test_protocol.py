from __future__ import annotations

from dataclasses import replace

from analysis.findings import Findings
from analysis.protocol import protocol_lines, selection_lines


def _lines(run) -> dict[str, str]:
    return dict(protocol_lines(Findings(run)))


def test_a_study_of_the_whole_corpus_says_nothing_of_its_parts(run):
    assert not {"Used of it", "Unlabeled"} & set(_lines(run))


def test_what_is_used_of_the_corpus_and_what_beside_it_is_said(run):
    parts = {"where": {"scenario": "improvised", "session": ["1", "2"]}, "unlabeled": "data/msp_podcast"}
    corpus = {**run.provenance["corpus"], **parts}
    lines = _lines(replace(run, provenance={**run.provenance, "corpus": corpus}))
    assert lines["Used of it"] == "scenario: improvised; session: 1 or 2"
    assert lines["Unlabeled"] == "data/msp_podcast"
    assert _lines(replace(run, study={**run.study, **parts})) == lines


def test_uar_says_what_it_is_a_mean_over(run, several):
    assert _lines(run)["UAR"].endswith("of the mean over seeds")
    assert _lines(several)["UAR"].endswith("the conditions audio, text, audio+text")
    assert _lines(several)["Conditions"] == "audio, text, audio+text"


def test_how_arms_are_stopped_is_said(run):
    lines = {
        kind: dict(selection_lines(Findings(replace(run, provenance={**run.provenance, "scheduler": asked}))))
        for kind, asked in (
            ("race", {"kind": "race", "alpha": 0.05}),
            ("asha", {"kind": "asha", "grace_period": 3, "reduction_factor": 2}),
        )
    }
    assert lines["race"]["Stopping"] == "race, significantly worse than the best arm on dev UAR; alpha 0.05"
    assert lines["asha"]["Stopping"] == "asha, on mean dev UAR; grace period 3 epochs, reduction factor 2"
