"""What every kind of place must do alike."""

import threading

import pytest


def write(place, name, content):
    with place.writing(name) as path:
        path.write_bytes(content)


def read(place, name):
    with place.reading(name) as path:
        return path.read_bytes()


def names(place):
    return {entry.name: entry.size for entry in place.entries()}


def test_a_file_is_there_once_it_is_whole(place):
    assert names(place) == {}
    with place.writing("a.big") as path:
        path.write_bytes(b"x" * 10_000_000)
        assert "a.big" not in names(place)
    assert names(place) == {"a.big": 10_000_000}
    assert read(place, "a.big") == b"x" * 10_000_000
    write(place, "a.big", b"newer")
    assert read(place, "a.big") == b"newer"


def test_what_broke_off_leaves_the_old_file_and_nothing_else(place):
    write(place, "a", b"old")

    def broken_off():
        with place.writing("a") as path:
            path.write_bytes(b"half of")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        broken_off()
    assert names(place) == {"a": 3}
    assert read(place, "a") == b"old"


def test_what_is_not_there(place):
    with pytest.raises(FileNotFoundError), place.reading("a"):
        pass
    assert place.see("a") is None
    assert place.replace("a", b"x", "version") is None
    place.remove("a")


def test_only_the_first_creates(place):
    version = place.create("a", b"one")
    assert version
    assert place.create("a", b"two") is None
    assert place.see("a").content == b"one"
    assert place.see("a").version == version


def test_only_what_was_last_seen_is_replaced(place):
    first = place.create("a", b"one")
    second = place.replace("a", b"two", first)
    assert second not in (None, first)
    assert place.replace("a", b"three", first) is None
    assert (place.see("a").content, place.see("a").version) == (b"two", second)
    place.remove("a")
    assert place.replace("a", b"four", second) is None
    assert place.see("a") is None


def test_of_many_at_once_one_succeeds(place):
    def race(action):
        won, ready = [], threading.Barrier(8)

        def enter(number):
            ready.wait()
            if action(str(number).encode()):
                won.append(number)

        threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return won

    (first,) = race(lambda content: place.create("a", content))
    seen = place.see("a")
    assert seen.content == str(first).encode()
    # Other words than before: of an object that says the same again, a bucket says that it is the same.
    (second,) = race(lambda content: place.replace("a", b"again " + content, seen.version))
    assert place.see("a").content == f"again {second}".encode()


def test_a_touch_is_a_use_and_no_change(place):
    write(place, "a", b"1")
    write(place, "b", b"2")
    before = {entry.name: entry.used for entry in place.entries()}
    while True:  # Some clocks have whole seconds.
        place.touch("a")
        after = {entry.name: entry.used for entry in place.entries()}
        if after["a"] > before["b"]:
            break
    assert after["b"] == before["b"]
    assert read(place, "a") == b"1"
    place.touch("nothing")
    place.remove("a")
    assert "a" not in names(place)
