"""Memory of the machine: what may be accessed, and what threads do to each other there.

Every unit of memory remembers which thread wrote it and which one read it, and when: time goes on
from barrier to barrier. Two threads that meet at one address, where one of them writes another
value, must have a barrier between them; threads of different blocks never have one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NEVER, SEVERAL = -1, -1


class Fault(Exception):
    """A thread did what it must not do."""


class Clock:
    """Barriers so far, over all launches; and how many there were when this launch and this block
    of threads began."""

    def __init__(self) -> None:
        self.launched = self.entered = self.now = 1

    def launch(self) -> None:
        self.tick()
        self.launched = self.entered = self.now

    def enter(self) -> None:
        self.tick()
        self.entered = self.now

    def tick(self) -> None:
        self.now += 1

    def unsettled(self, when: np.ndarray) -> np.ndarray:
        """Say of which times no barrier lies between them and this block's threads."""
        return (when == self.now) | ((when >= self.launched) & (when < self.entered))


class Piece:
    """An array in memory, from the address `base`: its bytes, and who wrote and read them.

    `unit` is the size of the narrowest access in bytes; `written` says whether it has contents.
    """

    def __init__(
        self, data: np.ndarray, base: int, unit: int, clock: Clock, written: bool, name: str
    ):
        self.data, self.base, self.unit, self.clock, self.name = data, base, unit, clock, name
        units = -(-len(data) // unit)
        self.written_at = np.zeros(units, np.int64)
        if not written:
            self.written_at -= 1
        self.read_at = np.zeros(units, np.int64)
        self.writer, self.reader = np.zeros(units, np.int32), np.zeros(units, np.int32)
        self.copying: np.ndarray | None = None  # where bytes are on their way
        self._views: dict[tuple[np.dtype, int], np.ndarray] = {}

    def forget(self) -> None:
        """Let nothing be known of the contents, as when a block of threads begins."""
        self.data[...] = 0xFF  # NaN
        self.written_at[...] = NEVER
        self.read_at[...] = 0
        self.copying = None

    def read(self, addresses: np.ndarray, threads: np.ndarray, dtype: np.dtype, count: int):
        """Return `count` numbers from each address, [threads, count]."""
        places, units = self._find(addresses, dtype.itemsize * count)
        self._check_copies(units)
        who = threads[:, None]
        if self.written_at[units].min() == NEVER:
            raise Fault(f"reads of {self.name} what nobody has written")
        met = self.clock.unsettled(self.written_at[units]) & (self.writer[units] != who)
        if met.any():
            raise Fault(f"reads of {self.name} what another thread writes{self._pair(met, units)}")
        others = self.clock.unsettled(self.read_at[units]) & (self.reader[units] != who)
        self.reader[units] = who
        others |= self.reader[units] != who
        self.reader[units[others]] = SEVERAL
        self.read_at[units] = self.clock.now
        return self._view(dtype, count)[places]

    def write(self, addresses: np.ndarray, threads: np.ndarray, values: np.ndarray) -> None:
        """Set the numbers from each address; values [threads, count]."""
        count = values.shape[1]
        places, units = self._find(addresses, values.itemsize * count)
        self._check_copies(units)
        view = self._view(values.dtype, count)
        changed = (view[places] != values).any(axis=1, keepdims=True)
        self.claim(units, threads, changed)
        view[places] = values
        if (view[places] != values).any():
            raise Fault(f"two threads write different numbers to the same place of {self.name}")

    def claim(self, units: np.ndarray, threads: np.ndarray, changed: np.ndarray | bool) -> None:
        """Note that threads write; the same value as there is harms nobody."""
        who = threads[:, None]
        for verb, times, agents in (
            ("wrote", self.written_at, self.writer),
            ("reads", self.read_at, self.reader),
        ):
            met = self.clock.unsettled(times[units]) & (agents[units] != who) & changed
            if met.any():
                where = self._pair(met, units)
                raise Fault(f"writes in {self.name} where another thread {verb}{where}")
        self.writer[units] = who
        self.written_at[units] = self.clock.now

    def begin_copy(self, units: np.ndarray, threads: np.ndarray) -> None:
        """Note that bytes are on their way to some units."""
        self._check_copies(units)
        if np.unique(units).size < units.size:
            raise Fault(f"copies two things to the same place of {self.name}")
        self.claim(units, threads, True)
        if self.copying is None:
            self.copying = np.zeros(len(self.written_at), bool)
        self.copying[units] = True

    def end_copy(self, addresses: np.ndarray, threads: np.ndarray, values: np.ndarray) -> None:
        """Put the bytes there that were on their way: [threads, bytes]."""
        size = values.shape[1]
        units = self.units_at(addresses, size)
        if self.copying is not None:
            self.copying[units] = False
        self.writer[units], self.written_at[units] = threads[:, None], self.clock.now
        places, _ = self._find(addresses, size)
        self._view(np.dtype(np.uint8), size)[places] = values

    def units_at(self, addresses: np.ndarray, size: int) -> np.ndarray:
        """Return the units of `size` bytes from each address, which must be a multiple of it."""
        return self._find(addresses, size)[1]

    def _find(self, addresses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which number of `size` bytes lies at each address, and its units."""
        if (addresses & np.uint64(size - 1)).any():
            wrong = int(addresses[(addresses & np.uint64(size - 1)) != 0][0])
            raise Fault(
                f"accesses {size} bytes of {self.name} at {self._place(wrong)}, an address that is "
                f"not a multiple of {size}"
            )
        if size < self.unit:
            raise Fault(f"accesses {size} bytes of {self.name}, which holds {self.unit} in one")
        offsets = (addresses - np.uint64(self.base)).view(np.int64)
        if offsets.min() < 0 or offsets.max() + size > len(self.data):
            wrong = int(addresses[(offsets < 0) | (offsets + size > len(self.data))][0])
            raise Fault(
                f"accesses {size} bytes of {self.name} at {self._place(wrong)}, but it has "
                f"{len(self.data)} bytes"
            )
        first = offsets[:, None]
        if size == self.unit:
            return offsets // size, first // size
        return offsets // self.unit, first // self.unit + np.arange(size // self.unit)

    def _view(self, dtype: np.dtype, count: int) -> np.ndarray:
        """The numbers that begin at each unit: [units, count], where they overlap."""
        key = dtype, count
        if key not in self._views:
            units = (len(self.data) - dtype.itemsize * count) // self.unit + 1
            strides = (self.unit, dtype.itemsize)
            self._views[key] = np.ndarray((units, count), dtype, self.data, 0, strides)
        return self._views[key]

    def _check_copies(self, units: np.ndarray) -> None:
        if self.copying is not None and self.copying[units].any():
            raise Fault(f"accesses {self.name} where a copy is still under way")

    def _pair(self, met: np.ndarray, units: np.ndarray) -> str:
        unit = int(units[met][0])
        return f" at {self._place(self.base + unit * self.unit)} without a barrier in between"

    def _place(self, address: int) -> str:
        return f"byte {address - self.base}"


class Space:
    """An address space: arrays far from each other, so that no access strays into another one."""

    def __init__(self, clock: Clock, spacing: int):
        self.clock, self.spacing = clock, spacing
        self.pieces: list[Piece] = []

    def add(
        self, data: np.ndarray, name: str, unit: int, skipped: int = 0, written: bool = True
    ) -> int:
        """Put an array of bytes into memory and return its address: so many bytes are skipped
        behind a place that is aligned to whatever one may want."""
        base = (len(self.pieces) + 1) * self.spacing + self.spacing // 2 + skipped
        self.pieces.append(Piece(data, base, unit, self.clock, written, name))
        return base

    def parts(self, addresses: np.ndarray) -> Iterator[tuple[Piece, np.ndarray | slice]]:
        """Yield the arrays that addresses lie in, each with which of the addresses these are."""
        numbers = addresses // np.uint64(self.spacing)
        if (numbers == numbers[0]).all():
            yield self._piece(int(addresses[0])), slice(None)
            return
        for number in np.unique(numbers):
            which = np.flatnonzero(numbers == number)
            yield self._piece(int(addresses[which[0]])), which

    def _piece(self, address: int) -> Piece:
        number = address // self.spacing - 1
        if not 0 <= number < len(self.pieces):
            raise Fault(f"accesses the address {address:#x}, where no array is")
        return self.pieces[number]
