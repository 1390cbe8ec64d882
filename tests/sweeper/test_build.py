"""`sweeper data build` and `kinds`: options, what is printed, exit codes. Reading is tested with the readers."""

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sweeper import build, cli
from trainables.errors import InputError


def call(*arguments):
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(cli.app, ["data", *map(str, arguments)])


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "EmoDB"
    folder.mkdir()
    for number, name in enumerate(("03a01Fa", "03a01Wa", "08a02Na")):
        noise = np.random.default_rng(number).normal(0, 0.1, 2000)
        soundfile.write(folder / f"{name}.wav", noise, 8000)
    return folder


def test_counts_stand_beside_the_published_ones(source, tmp_path):
    result = call("build", "emodb", source, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "EmoDB: 3 utterances of 2 speakers, 3 labeled, 3 with a recording (0.00 h)" in result.stdout
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    assert lines["here"] == ["1", "0", "0", "0", "1", "1", "0", "3"]
    assert lines["published"] == ["127", "81", "46", "69", "71", "79", "62", "535"]
    assert lines["difference"] == ["-126", "-81", "-46", "-69", "-70", "-78", "-62", "-532"]
    assert "differs: the tree lacks 8 of 10 speakers (09, 10, 11, 12, 13, ...)" in result.stdout
    assert result.stdout.splitlines()[-1] == f"corpus: {tmp_path / 'out'}"


def test_it_checks_as_a_corpus(source, tmp_path):
    call("build", "emodb", source, tmp_path / "out")
    result = call("check", tmp_path / "out")
    assert result.exit_code == 2  # each class has a single utterance here, and that is what is said
    assert "has a single utterance" in result.stderr
    soundfile.write(source / "08a02Wb.wav", np.zeros(800), 8000)
    soundfile.write(source / "08a02Nb.wav", np.zeros(800), 8000)
    assert (
        call("build", "emodb", source, tmp_path / "out", "--set", "classes={W: angry, N: neutral}", "--force").exit_code
        == 0
    )
    result = call("check", tmp_path / "out")
    assert result.exit_code == 0
    assert "4 of 5 utterances labeled" in result.stdout


def test_own_classes_are_counted_by_themselves(source, tmp_path):
    result = call("build", "emodb", source, tmp_path / "out", "--set", "classes={W: negative, N: other}")
    assert result.exit_code == 0
    assert "published" not in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["negative", "1"] in rows
    assert ["(none)", "1"] in rows


def test_broken_recordings_are_refused_or_named(source, tmp_path):
    (source / "08a02Na.wav").write_bytes(b"")
    result = call("build", "emodb", source, tmp_path / "out")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "08a02Na.wav: is empty (1 of 3 utterances cannot be used)" in result.stderr
    result = call("build", "emodb", source, tmp_path / "out", "--skip-broken")
    assert result.exit_code == 0
    assert f"note: left out: {source / '08a02Na.wav'}: is empty" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("emo", "S", "O"), "kind: there is no reader 'emo'; there is ami"),
        (("emodb", "nowhere", "O"), "nowhere: does not exist; give the folder that holds"),
        (("emodb", "S", "O", "--set", "shortest"), "--set shortest: must have the form key=value"),
        (("emodb", "S", "O", "--set", "classes={"), "--set classes={"),
        (("emodb", "S", "O", "--set", "song=true"), "--set song: emodb has no such option"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(source, tmp_path, arguments, said):
    named = {"S": source, "O": tmp_path / "out"}
    result = call("build", *(named.get(each, each) for each in arguments))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_options_are_yaml():
    assert build.options(["shortest=1.5", "columns={speaker: who}", "label=mood"]) == {
        "shortest": 1.5,
        "columns": {"speaker": "who"},
        "label": "mood",
    }
    with pytest.raises(InputError, match="must have the form key=value"):
        build.options(["=1"])


def test_kinds_and_their_options_are_listed():
    result = call("kinds")
    assert result.exit_code == 0
    assert {"iemocap", "msp_podcast", "csv"} <= {line.split()[0] for line in result.stdout.splitlines() if line.strip()}
    result = call("kinds", "msp_podcast")
    assert "Who spoke where nobody knows" in " ".join(result.stdout.split())
    assert call("kinds", "nothing").exit_code == 2
