"""How many threads the runs of a plan are given: as many as have lately been fastest.

Whether another thread helps depends on the work, the computer, and what else runs on it: a helper
that the system stops within an item holds up the run for milliseconds. So short runs are timed, and
now and then one is made with another number of threads, as long as that loses little time. The bits
are the same with any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

LONG = 0.01  # seconds from which a run is shared by all threads, without trials of others
SAMPLES = 5  # of the number of threads in use, of which the median counts
TRIAL = 3  # runs in a row with another number, whose median is compared
GAIN = 0.95  # of the time so far, for another number to be taken
SHORT = 35e-6  # seconds of a run that is no work for two: to wake one and to time each takes 10e-6
SHORT_GAIN = 1.15  # of the time so far, for one thread to be taken for such a run
HOPELESS = 3  # times the time so far, when a trial ends with its first run
FIRST_PAUSE, LONGEST_PAUSE = 32, 1024  # runs between two trials of another number
CHANGED = 1.5  # times the usual, when something else must have come to run
UNTIMED = 2  # first runs, which find nothing in the caches
SHARE = 0.02  # of the time that trials may lose: one that waits for neighbours loses milliseconds
MOST_LOST = 0.005  # seconds that a trial may count to have lost: in a longer one the process stood
BRIEF = 1e-4  # seconds of a run by one thread of which timing each would be felt
EACH = 8  # brief runs, one of which is timed


class ThreadChoice:
    """Chooses among 1, 2, 4, ... and `most` threads, by the times of runs of one kind."""

    def __init__(self, most: int):
        self.most = most
        powers = [1 << power for power in range(most.bit_length()) if 1 << power < most]
        self._others = deque(powers)  # the next to be tried first
        self._best = most
        self._times = deque[float](maxlen=SAMPLES)  # of the best
        self._usual = 0.0  # their median
        self._trial: list[float] = []  # of the first of the others, while it is tried
        self._untimed = UNTIMED
        self._to_try = len(self._others)  # without waiting
        self._pause = self._runs_left = FIRST_PAUSE
        self._lost = 0.0  # seconds of trials, beyond their share
        self._unseen = 0  # runs since the last one that was timed

    @property
    def settled(self) -> bool:
        """Whether one thread it stays, so that runs need not be timed."""
        return self._best == 1 and self._usual < SHORT and len(self._times) == SAMPLES

    def untimed(self) -> int:
        """Return the threads of a run that need not be timed; 0 where `next` is to be asked."""
        if self.settled:
            return 1
        brief = self._best == 1 and self._usual < BRIEF and len(self._times) == SAMPLES
        if brief and self._unseen + 1 < EACH and not self._tries():
            self._unseen += 1
            return 1
        return 0

    def next(self) -> int:
        """Return the threads of the next run; its time is to be told to `note`."""
        return self._others[0] if self._tries() else self._best

    def note(self, seconds: float) -> None:
        """Take the time of the run that `next` was asked for."""
        if self._untimed:
            self._untimed -= 1
        elif self._tries():
            self._trial.append(seconds)
            if len(self._trial) == TRIAL or seconds > HOPELESS * self._usual:
                self._end_trial()
        else:
            self._runs_left -= 1 + self._unseen
            self._lost -= SHARE * seconds * (1 + self._unseen)
            self._unseen = 0
            before = self._usual if len(self._times) == SAMPLES else seconds
            self._times.append(seconds)
            self._usual = median(self._times)
            if self._usual > CHANGED * before:
                self._try_all()

    def _tries(self) -> bool:
        """Say whether the next run is one of a trial: in a row, so that both were timed lately."""
        if not self._others or len(self._times) < TRIAL or self._usual >= LONG:
            return False
        return self._lost <= 0 and (self._runs_left <= 0 or self._to_try > 0)

    def _end_trial(self) -> None:
        number, seconds = self._others.popleft(), median(self._trial)
        lost = sum(self._trial) - len(self._trial) * self._usual
        self._lost = max(0.0, self._lost) + min(lost, MOST_LOST)
        self._to_try = max(0, self._to_try - 1)
        gain = SHORT_GAIN if number == 1 and seconds < SHORT else GAIN
        if seconds < gain * self._usual:
            number, self._best = self._best, number
            self._times, self._usual = deque(self._trial, maxlen=SAMPLES), seconds
            self._pause = FIRST_PAUSE
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._others.append(number)
        self._trial, self._runs_left = [], self._pause

    def _try_all(self) -> None:
        """Compare with all other numbers soon: something has changed."""
        self._to_try = len(self._others)
        self._pause = FIRST_PAUSE


def median(times: Collection[float]) -> float:
    """Return the median, as `statistics` does, whose import costs a start more than this file."""
    order, middle = sorted(times), len(times) // 2
    return (order[middle] + order[-1 - middle]) / 2
