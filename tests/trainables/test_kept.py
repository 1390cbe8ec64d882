import numpy as np

from trainables.kept import kept


def counted():
    calls = []

    @kept
    def work(first, second=(), *, third=None):
        calls.append((first, second, third))
        return object()

    return work, calls


def test_the_same_objects_are_worked_on_once():
    work, calls = counted()
    array = np.arange(3)
    made = work(array, (1, "a", array), third=None)
    assert work(array, (1, "a", array), third=None) is made
    assert len(calls) == 1


def test_equal_arrays_are_other_objects():
    work, calls = counted()
    assert work(np.arange(3)) is not work(np.arange(3))
    assert len(calls) == 2


def test_numbers_and_texts_count_by_value_and_type():
    work, calls = counted()
    for first, second in [("ab", (1,)), ("".join(["a", "b"]), (1,)), ("ab", (1.0,)), ("ab", (True,)), ("ab", (1, 2))]:
        work(first, second)
    assert len(calls) == 4


def test_only_the_last_result_is_kept():
    work, calls = counted()
    one, other = np.zeros(1), np.ones(1)
    work(one), work(other), work(one)
    assert len(calls) == 3


def test_nothing_is_kept_of_a_call_that_fails():
    calls = []

    @kept
    def work(first):
        calls.append(first)
        raise ValueError

    for _ in range(2):
        try:
            work(1)
        except ValueError:
            continue
    assert calls == [1, 1]
