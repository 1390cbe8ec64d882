"""AMI: crops around three words, of a person's own microphone, inside the recording."""

import made_trees
import pytest

from trainables import corpus
from trainables.corpora import ami, build
from trainables.errors import InputError

MEETINGS = (
    '<meeting nite:id="m1" observation="ES2002a">'
    '<speaker nite:id="s1" nxt_agent="A" global_name="FEE005" channel="0" role="PM"/>'
    '<speaker nite:id="s2" nxt_agent="B" global_name="MEE006" channel="3" role="UI"/></meeting>'
    '<meeting nite:id="m2" observation="ES2002b">'
    '<speaker nite:id="s3" nxt_agent="A" global_name="FEE005" channel="1"/></meeting>'
)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "ami"
    notes = root / "ami_public_manual_1.6.2"
    a, b, c = "ES2002a.A", "ES2002a.B", "ES2002b.A"
    made_trees.ami_xml(notes / "corpusResources" / "meetings.xml", MEETINGS)
    made_trees.ami_xml(
        notes / "words" / f"{a}.words.xml",
        made_trees.ami_word(a, 0, 1.0, 1.2, "Okay"),
        made_trees.ami_word(a, 1, 1.2, 1.2, ",", ' punc="true"'),
        made_trees.ami_word(a, 2, 4.0, 4.4, "that&apos;s"),
        made_trees.ami_word(a, 3, 4.4, 4.6, "fine"),
        f'<vocalsound nite:id="{a}.words4" starttime="4.6" endtime="4.9" type="laugh"/>',
        f'<w nite:id="{a}.words5">um</w>',
        f'<w nite:id="{a}.wordsx1">no number of its own</w>',
        made_trees.ami_word(a, 6, 5.0, 5.2, "now"),
        made_trees.ami_word(a, 7, 9.0, 9.4, "caf\u00e9"),
        made_trees.ami_word(a, 8, 9.5, 9.9, "two"),
    )
    made_trees.ami_xml(
        notes / "segments" / f"{a}.segments.xml",
        made_trees.ami_segment(a, 1, 0, 6),
        made_trees.ami_segment(a, 2, 7, 8),
        made_trees.ami_segment(a, 3, 4, 4),
    )
    made_trees.ami_xml(
        notes / "words" / f"{b}.words.xml", *(made_trees.ami_word(b, n, n, n + 0.5, f"w{n}") for n in range(12))
    )
    made_trees.ami_xml(notes / "segments" / f"{b}.segments.xml", made_trees.ami_segment(b, 1, 0, 11))
    made_trees.ami_xml(notes / "words" / f"{c}.words.xml", made_trees.ami_word(c, 0, 1, 2, "absent"))
    made_trees.ami_xml(notes / "segments" / f"{c}.segments.xml", made_trees.ami_segment(c, 1, 0, 0))
    for number in (0, 3):
        made_trees.wav(root / "amicorpus" / "ES2002a" / "audio" / f"ES2002a.Headset-{number}.wav", 12)
    made_trees.wav(root / "amicorpus" / "ES2002a" / "audio" / "ES2002a.Mix-Headset.wav", 12)
    return root


def read(tree, **options):
    return ami.read(tree, ami.Ami(**{"seconds": 3.5, **options}))


def rows(tree, **options):
    return {row["utterance_id"]: row for row in read(tree, **options).rows}


def test_the_middle_word_is_the_middle_of_the_crop(tree):
    found = rows(tree)["ES2002a.A.words2"]
    assert (found["start"], found["end"]) == (pytest.approx(4.2 - 1.75), pytest.approx(4.2 + 1.75))


def test_three_words_stand_in_one_segment(tree):
    own = {name for name in rows(tree) if name.startswith("ES2002a.A")}
    # words0 and 6 are ends of their segment, 7 and 8 a segment of two; punctuation, laughs and untimed words are none.
    assert own == {"ES2002a.A.words2", "ES2002a.A.words3"}


def test_a_crop_stays_inside_its_recording(tree):
    others = {int(name.rpartition("words")[2]) for name in rows(tree) if name.startswith("ES2002a.B")}
    # Word n is in the middle at n + 0.25; 3.5 s around it must lie in 0 to 12 s.
    assert others == set(range(2, 11)) & {n for n in range(12) if 1.75 <= n + 0.25 <= 12 - 1.75}


def test_the_transcript_is_what_that_person_says_in_the_crop(tree):
    assert rows(tree)["ES2002a.A.words2"]["transcript"] == "that's fine now"
    assert rows(tree, seconds=7.2)["ES2002a.A.words2"]["transcript"] == "Okay, that's fine now"


def test_who_speaks_and_into_which_microphone(tree):
    found = rows(tree)
    assert [found["ES2002a.B.words5"][name] for name in ("speaker", "session", "dialogue", "gender")] == [
        "MEE006",
        "ES2002",
        "ES2002a",
        "m",
    ]
    assert found["ES2002a.B.words5"]["recording"].name == "ES2002a.Headset-3.wav"
    assert found["ES2002a.A.words2"]["recording"].name == "ES2002a.Headset-0.wav"
    assert rows(tree, audio="mix")["ES2002a.B.words5"]["recording"].name == "ES2002a.Mix-Headset.wav"


def test_a_seed_draws_the_same_and_another_seed_others(tree):
    assert read(tree, crops=4) == read(tree, crops=4)
    assert len(rows(tree, crops=4)) == 4
    draws = {tuple(sorted(rows(tree, crops=4, seed=seed))) for seed in range(5)}
    assert len(draws) > 1


def test_turns_follow_the_time_over_all_persons(tree):
    ordered = sorted(rows(tree).values(), key=lambda row: row["start"])
    assert [row["turn"] for row in ordered] == list(range(len(ordered)))


def test_meetings_without_audio_are_not_drawn_from(tree):
    assert "1 meeting without headset audio not drawn from" in read(tree).notes
    assert not [name for name in rows(tree) if name.startswith("ES2002b")]


def test_it_is_a_corpus_without_labels(tree, tmp_path):
    built = build.build("ami", tree, tmp_path / "out", options={"seconds": 3.5, "crops": 5})
    assert built.utterances["label"].isna().all()
    made = corpus.load(tmp_path / "out", labeled=False)
    assert made.recordings is not None
    assert made.recordings.read(0).shape == (56000,)
    assert built.comparisons[0].found == {"ami": 5}
    assert built.utterances["duration"].tolist() == [3.5] * 5


def test_crops_that_fit_nowhere_are_refused(tree):
    with pytest.raises(
        InputError, match="no three words of a segment are the middle of 30 s of audio; set seconds lower"
    ):
        read(tree, seconds=30)


def test_what_is_missing_is_named(tree):
    notes = tree / "ami_public_manual_1.6.2"
    segments = notes / "segments" / "ES2002a.A.segments.xml"
    kept = segments.read_bytes()
    segments.unlink()
    with pytest.raises(InputError, match=r"ES2002a\.A\.segments\.xml: is not there; copy the folder segments"):
        read(tree)
    segments.write_bytes(kept[:-40])
    with pytest.raises(InputError, match=r"ES2002a\.A\.segments\.xml: line \d+: is no XML"):
        read(tree)
    segments.write_bytes(kept)
    with pytest.raises(InputError, match="holds no lapel recording of a meeting; download the audio"):
        read(tree, audio="lapel")
    (notes / "corpusResources" / "meetings.xml").unlink()
    with pytest.raises(InputError, match=r"holds no meetings\.xml"):
        read(tree)
    with pytest.raises(InputError, match=r"holds no folder words with \*\.words\.xml"):
        read(tree / "amicorpus")


def test_a_segment_of_words_that_are_not_there_is_left_aside(tree):
    path = tree / "ami_public_manual_1.6.2" / "segments" / "ES2002a.A.segments.xml"
    expected = rows(tree)
    made_trees.ami_xml(
        path,
        made_trees.ami_segment("ES2002a.A", 1, 0, 6),
        made_trees.ami_segment("ES2002a.A", 9, 400, 406),
    )
    assert rows(tree) == expected
    assert "1 segment of words that are not there left aside" in read(tree).notes
