"""Finding and reading files: links, hidden files, encodings, copies, tables."""

import made_trees
import pytest

from trainables.corpora import sources
from trainables.errors import InputError


def test_links_are_followed_and_loops_end(tmp_path):
    made_trees.wav(tmp_path / "disk" / "a.wav", 0.05)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "corpus")
    assert [path.name for path in sources.walk(tmp_path / "corpus")] == ["a.wav"]


def test_hidden_files_are_no_part_of_a_corpus(tmp_path):
    for name in ("._a.wav", ".DS_Store", "__MACOSX/a.wav", ".cache/a.wav", "b.wav"):
        made_trees.text(tmp_path / name, "x")
    assert [path.name for path in sources.walk(tmp_path)] == ["b.wav"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_text_in_the_usual_encodings(tmp_path, encoding):
    path = made_trees.text(tmp_path / "a.txt", "Grüße – “hier”", encoding=encoding)
    assert sources.lines(path) == ["Grüße – “hier”"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_on_any_system(tmp_path, ends):
    (tmp_path / "a.txt").write_bytes(ends.join(["one", "", "two", ""]).encode())
    assert sources.lines(tmp_path / "a.txt") == ["one", "", "two"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"RIFF\0\0", "is no text file"), (None, "cannot be read")],
)
def test_what_is_no_text_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=said):
        sources.text(tmp_path / "a.txt")


def test_a_table_numbers_its_lines_over_cells_of_several(tmp_path):
    path = made_trees.text(tmp_path / "a.csv", "a,b", '1,"two', 'lines"', "", "3,4")
    assert sources.table(path) == [(3, {"a": "1", "b": "two\nlines"}), (5, {"a": "3", "b": "4"})]


def test_a_file_is_found_where_it_is_least_deep(tmp_path):
    deep = made_trees.text(tmp_path / "x" / "y" / "labels.txt", "deep")
    made_trees.text(tmp_path / "x" / "._labels.txt", "hidden")
    assert sources.find(tmp_path, ("labels.txt",), "x") == deep
    flat = made_trees.text(tmp_path / "labels.txt", "flat")
    assert sources.find(tmp_path, ("labels.txt",), "x") == flat


@pytest.mark.parametrize("cell", ["", "NaN", "na", "None"])
def test_a_missing_number_is_none(tmp_path, cell):
    assert sources.number(tmp_path, 1, "x", cell) is None
