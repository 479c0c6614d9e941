"""Which thread computes is known by a lock that it alone takes: nested, and with an exception."""

from __future__ import annotations

import threading

import pytest

from fastcnn.backends import nested_call


def refuses() -> bool:
    try:
        nested_call.refuse()
    except RuntimeError as error:
        assert "in the middle of a model's computation" in str(error)
        return True
    return False


def test_a_call_within_a_computation_is_refused():
    assert not refuses()
    with nested_call.refused():
        assert refuses()
        with nested_call.refused():
            assert refuses()
        assert refuses()
    assert not refuses()


def test_an_exception_ends_it():
    with pytest.raises(KeyboardInterrupt), nested_call.refused():
        raise KeyboardInterrupt
    assert not refuses()


def test_other_threads_may_compute():
    answers = []
    with nested_call.refused():
        other = threading.Thread(target=lambda: answers.append(refuses()))
        other.start()
        other.join()
    assert answers == [False]
