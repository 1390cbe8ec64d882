"""Times in a study (``failures.hang``): as people write them, and as a run folder gives them back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweeper import study
from sweeper.study import Failures
from trainables.errors import InputError

STUDY = {"name": "x", "corpus": "builtin", "method": "linear", "protocol": "leave-one-session-out"}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *((90, 90.0), (0.5, 0.5), ("90 s", 90.0), ("30 min", 1800.0), ("2 h", 7200.0), ("1.5h", 5400.0)),
        *((" 10s ", 10.0), ("0.25 min", 15.0), (None, None)),
    ],
)
def test_what_is_written_is_so_many_seconds(written, seconds):
    assert Failures(hang=written).hang == seconds


@pytest.mark.parametrize(
    "written",
    [
        *(0, -1, "0 s", "-5 min", "soon", "", "30", "30 m", "30 minutes", "1 d", "1e3 s", "1,5 h", "1 h 30 min", "min"),
        *(True, float("nan"), float("inf"), 10**9, "9999999999 s", "999999999 h", [3600], {"h": 1}),
    ],
)
def test_what_is_no_time_is_refused_with_an_example(tmp_path, written):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "failures": {"hang": written}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"failures\.hang: .*such as 30 min"):
        study.load(path)


def test_it_is_given_back_as_people_write_it(tmp_path):
    for written, given_back in (
        ("90 min", "90 min"),
        (1234567, "1234567 s"),
        (7200, "2 h"),
        (61, "61 s"),
        (0.5, 0.5),
        (None, None),
    ):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**STUDY, "failures": {"hang": written}}), encoding="utf-8")
        assert yaml.safe_load(study.to_yaml(study.load(path)))["failures"]["hang"] == given_back


@given(st.integers(1, 10**9 - 1) | st.floats(1e-6, 1e9, exclude_max=True))
def test_what_a_run_folder_holds_is_the_same_time(seconds):
    known = Failures(hang=seconds)
    assert Failures.model_validate(known.model_dump(mode="json")) == known
