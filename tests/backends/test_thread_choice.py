"""As many threads as are fastest, found at little cost, and found anew when that changes."""

from __future__ import annotations

import itertools

import pytest

from fastcnn.backends.cpu.thread_choice import (
    EACH,
    HOPELESS,
    LONG,
    MOST_LOST,
    SHARE,
    SHORT,
    ThreadChoice,
)


def runs(choice: ThreadChoice, seconds: dict[int, float], count: int) -> list[int]:
    """Make runs that take so long by their number of threads; return the numbers taken."""
    numbers = []
    for _ in range(count):
        numbers.append(choice.next())
        choice.note(seconds[numbers[-1]])
    return numbers


SLOWER = {1: 1e-4, 2: 2e-4, 4: 3e-4, 6: 4e-4}
FASTER = {1: 4e-4, 2: 2e-4, 4: 1.2e-4, 6: 1e-4}


def test_all_threads_at_first():
    assert ThreadChoice(6).next() == 6
    assert ThreadChoice(1).next() == 1


@pytest.mark.parametrize(
    ("seconds", "best"), [(SLOWER, 1), (FASTER, 6), ({1: 4e-4, 2: 1e-4, 4: 2e-4, 6: 3e-4}, 2)]
)
def test_the_fastest_number_is_taken(seconds, best):
    choice = ThreadChoice(6)
    runs(choice, seconds, 40)
    later = runs(choice, seconds, 2000)
    assert later.count(best) > 0.98 * len(later)


def test_a_change_is_noticed():
    """Neighbours come, and go again."""
    choice = ThreadChoice(6)
    assert runs(choice, FASTER, 100)[-1] == 6
    assert runs(choice, {1: 1e-4, 2: 5e-3, 4: 5e-3, 6: 5e-3}, 100)[-1] == 1
    assert 6 in runs(choice, FASTER, 3000)[-10:]


def test_long_runs_are_shared_and_never_tried_otherwise():
    seconds = dict.fromkeys((1, 2, 4, 6), 2 * LONG)
    assert set(runs(ThreadChoice(6), seconds, 500)) == {6}


def test_one_slow_run_changes_nothing():
    choice = ThreadChoice(2)
    seconds = {1: 2e-4, 2: 1e-4}
    runs(choice, seconds, 50)
    choice.next()
    choice.note(1.0)
    assert runs(choice, seconds, 20).count(2) >= 19


def test_a_run_too_short_to_share_settles_on_one_thread():
    """Even where two were a little faster: neighbours would make them slower at any moment."""
    choice = ThreadChoice(2)
    runs(choice, {1: SHORT / 2, 2: SHORT / 2.2}, 20)
    assert choice.settled
    for seconds in ({1: SHORT / 2, 2: SHORT / 4}, {1: 2 * SHORT, 2: 3 * SHORT}):
        choice = ThreadChoice(2)
        runs(choice, seconds, 200)
        assert not choice.settled


def test_a_hopeless_trial_ends_with_its_first_run():
    choice = ThreadChoice(2)
    numbers = runs(choice, {1: 1e-4, 2: HOPELESS * 1.1e-4}, 200)
    numbers = numbers[numbers.index(1) :]
    assert numbers.count(2) == 2
    assert (2, 2) not in itertools.pairwise(numbers)


def test_trials_lose_a_share_of_the_time_at_most():
    """With neighbours, a trial of a run of microseconds may take milliseconds."""
    choice, seconds = ThreadChoice(2), {1: 4e-5, 2: 4e-3}
    runs(choice, seconds, 100)
    numbers = runs(choice, seconds, 20_000)
    lost = numbers.count(2) * (seconds[2] - seconds[1])
    assert numbers.count(2) and lost < 1.2 * SHARE * (len(numbers) * seconds[1] + lost)


def test_a_trial_in_which_the_process_was_stopped_does_not_end_all_others():
    choice, seconds = ThreadChoice(2), {1: 3e-4, 2: 6e-4}
    numbers = runs(choice, seconds, 200)
    while choice.next() == 1:
        choice.note(seconds[1])
    choice.note(60.0)
    seconds = {1: 3e-4, 2: 2e-4}
    numbers = runs(choice, seconds, int(1.2 * MOST_LOST / SHARE / seconds[1]) + 1100)
    assert numbers[-1] == 2


def test_brief_runs_of_one_thread_are_rarely_timed():
    choice, timed = ThreadChoice(2), 0
    runs(choice, {1: 4e-5, 2: 5e-5}, 40)
    for _ in range(400):
        if not choice.untimed():
            timed += 1
            runs(choice, {1: 4e-5, 2: 5e-5}, 1)
    assert 400 / EACH <= timed < 400 / EACH + 20
    choice = ThreadChoice(2)
    runs(choice, {1: 4e-5, 2: 2e-5}, 40)
    assert not choice.untimed()  # a helper that is held up makes every run slow
