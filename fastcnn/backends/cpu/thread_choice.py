"""How many threads the runs of a plan are given: as many as have lately been fastest.

Whether another thread helps depends on the work, the computer, and what else runs on it: a helper
that the system stops within an item holds up the run for milliseconds. So short runs are timed, and
now and then one is made with another number of threads. The bits are the same with any.
"""

from __future__ import annotations

from collections import deque
from statistics import median

LONG = 0.01  # seconds from which a run is shared by all threads, without trials of others
SAMPLES = 5  # of each number of threads, of which the median counts
ENOUGH = 3  # samples from which a number of threads may be chosen
GAIN = 0.95  # of the time so far, for another number to be taken
FIRST_PAUSE, LONGEST_PAUSE = 32, 1024  # runs between two trials of another number
CHANGED = 1.5  # times the usual, when something else must have come to run
UNTIMED = 2  # first runs, which find nothing in the caches


class ThreadChoice:
    """Chooses among 1, 2, 4, ... and `most` threads, by the times of runs of one kind."""

    def __init__(self, most: int):
        self.most = most
        powers = [1 << power for power in range(most.bit_length()) if 1 << power < most]
        self._times = {number: deque[float](maxlen=SAMPLES) for number in (*powers, most)}
        self._best = self._tried = most
        self._untimed = UNTIMED
        self._pause = self._runs_left = FIRST_PAUSE

    def next(self) -> int:
        """Return the threads of the next run; its time is to be told to `note`."""
        measured = not self._untimed and len(self._times[self._best]) >= ENOUGH
        short = measured and self._median(self._best) < LONG
        self._tried = self._next_trial() if short else self._best
        return self._tried

    def note(self, seconds: float) -> None:
        """Take the time of the run that `next` was asked for."""
        if self._untimed:
            self._untimed -= 1
            return
        times = self._times[self._tried]
        before = median(times) if len(times) == SAMPLES else seconds
        times.append(seconds)
        if self._tried == self._best and self._median(self._best) > CHANGED * before:
            for number, others in self._times.items():
                if number != self._best:
                    others.clear()
        measured = [number for number, times in self._times.items() if len(times) >= ENOUGH]
        fastest = min(measured, key=self._median, default=self._best)
        if self._median(fastest) < GAIN * self._median(self._best):
            self._best = fastest
            self._pause = self._runs_left = FIRST_PAUSE

    def _next_trial(self) -> int:
        """Return a number that is to be tried now, else the best."""
        others = [number for number in self._times if number != self._best]
        for number in reversed(others):
            if len(self._times[number]) < ENOUGH:
                return number
        self._runs_left -= 1
        if self._runs_left or not others:
            return self._best
        self._pause = self._runs_left = min(2 * self._pause, LONGEST_PAUSE)
        # The one whose turn it is: the others move up.
        number = others[0]
        self._times[number] = self._times.pop(number)
        return number

    def _median(self, number: int) -> float:
        return median(self._times[number]) if self._times[number] else float("inf")
