"""The report of a tuning: what was estimated, what was measured, what it gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from fastcnn import strategies
from fastcnn.graph.problem import Problem
from fastcnn.strategies import Choice, timing_cache
from fastcnn.utils import columns, markup

NOTHING = "-"
WIDER = 5
"""A column may be so much wider than its strategy's name: two are between columns."""


@dataclass
class Row:
    """One direction of one problem, and the layers (or names) that have it.

    `times` are milliseconds of a batch by strategy; `left_out` has the reason why one was not
    timed. Where other programs `disturbed` them, the strategies that are `left_open` could be as
    fast as one that seems slower: their times are not remembered, and choose nothing.
    `estimated` is the cost model's choice, `before` and `after` are those in force.
    """

    names: list[str]
    direction: str
    problem: Problem
    estimated: str
    before: Choice
    after: Choice
    times: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    disturbed: bool = False
    left_open: tuple[str, ...] = ()
    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def begun(
        cls,
        names: list[str],
        direction: str,
        problem: Problem,
        images: int,
        bound: float,
        device: str = "cpu",
        precision: str = "float32",
    ) -> Row:
        """Return the row as it is before anything is timed."""
        choose = partial(
            strategies.choose,
            *(direction, problem, images, bound),
            device=device,
            precision=precision,
        )
        before, estimated = choose(), choose(measured=False).name
        return cls(
            *(names, direction, problem, estimated, before, before),
            device=device,
            precision=precision,
        )

    def finish(self, images: int, bound: float) -> None:
        """Fill in what is known now."""
        key = self.direction, self.problem, images
        self.after = strategies.choose(*key, bound, device=self.device, precision=self.precision)
        if timing_cache.measured(*key, self.device, self.precision):
            self.times |= timing_cache.find(*key, self.device, self.precision)

    @property
    def title(self) -> str:
        return f"{', '.join(self.names)}: {self.direction}"

    @property
    def undecided(self) -> bool:
        """Whether even the fastest strategy is left open."""
        return bool(self.left_open) and len(self.left_open) == len(self.times)

    @property
    def gain(self) -> float | None:
        """How many times faster the choice is than the estimate's, None where not measured."""
        sure = self.times.keys() - {*self.left_open}
        if self.undecided or not {self.estimated, self.after.name} <= sure:
            return None
        return self.times[self.estimated] / self.times[self.after.name]

    def described(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            "layers": self.names,
            "direction": self.direction,
            "problem": asdict(self.problem),
            "estimated": self.estimated,
            "before": self.before._asdict(),
            "after": self.after._asdict(),
            "ms": self.times,
            "left_out": self.left_out,
            "disturbed": self.disturbed,
            "left_open": list(self.left_open),
            "gain": self.gain,
        }


@dataclass
class Report:
    """What `tune` found, for batches of `images` on `place`: "2 threads", or a GPU's name."""

    images: int
    threads: int
    bound: float
    rows: list[Row]
    seconds: float
    interrupted: bool
    device: str = "cpu"
    precision: str = "float32"
    place: str = ""

    @property
    def changed(self) -> list[Row]:
        """The rows whose strategy is now another one than before."""
        return [row for row in self.rows if row.before.name != row.after.name]

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        ended = ", interrupted" if self.interrupted else ""
        undecided = sum(row.undecided for row in self.rows)
        remark = f" {undecided} left open: other programs were busy." if undecided else ""
        timed = sum(bool(row.times) for row in self.rows)
        return (
            f"Tuned for batches of {self.images} on {self.place}: {timed} of "
            f"{len(self.rows)} directions timed, {len(self.changed)} choices changed, "
            f"{self.seconds:.1f} s{ended}.{remark}"
        )

    def described(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "batch_size": self.images,
            "device": self.device,
            "precision": self.precision,
            "place": self.place,
            "threads": self.threads,
            "error_bound": self.bound,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "rows": [row.described() for row in self.rows],
        }

    def _repr_html_(self) -> str:
        return markup.printed(self)

    def __str__(self) -> str:
        names = {name for row in self.rows for name in row.times}
        timed = [name for name in strategies.table(self.device) if name in names]
        shown = columns.table(self._choices(), left=5, names=2)
        for part in self._of_times(timed):
            shown += ["", *columns.table(part, left=2)]
        return "\n".join([*shown, "", *self._notes()])

    def _choices(self) -> list[list[str]]:
        rows = [["layer", "problem", "direction", "estimated", "chosen", "gain"]]
        for row in self.rows:
            gain = NOTHING if row.gain is None else f"{row.gain:.2f}x"
            texts = [_layers(row.names), describe(row.problem), row.direction]
            rows.append([*texts, row.estimated, row.after.name, gain])
        return rows

    def _of_times(self, timed: list[str]) -> Iterator[list[list[str]]]:
        """The strategies' times, in as many tables as fit the terminal."""
        strategies = list(timed)
        room = columns.available() - columns.LEAST - len("direction") - 2
        while strategies:
            taken: list[str] = []
            left = room
            while strategies and (not taken or left >= len(strategies[0]) + WIDER):
                left -= len(strategies[0]) + WIDER
                taken.append(strategies.pop(0))
            yield [
                ["layer", "direction", *(f"{name} ms" for name in taken)],
                *(
                    [_layers(row.names), row.direction, *(self._time(row, n) for n in taken)]
                    for row in self.rows
                ),
            ]

    def _time(self, row: Row, name: str) -> str:
        if name not in row.times:
            return NOTHING
        text = f"{row.times[name]:.3f}" if row.times[name] < 100 else f"{row.times[name]:.0f}"
        text += "?" if name in row.left_open else ""
        return f"({text})" if name in self._beyond else text

    @property
    def _beyond(self) -> set[str]:
        """The strategies whose error is not within the bound."""
        table = strategies.table(self.device)
        return {name for name, strategy in table.items() if strategy.error > self.bound}

    def _notes(self) -> list[str]:
        notes = []
        both = [row for row in self.rows if row.gain is not None]
        if both:
            before = sum(len(row.names) * row.times[row.estimated] for row in both)
            after = sum(len(row.names) * row.times[row.after.name] for row in both)
            notes.append(
                f"all of them: {before:.2f} ms as estimated, {after:.2f} ms as measured "
                f"({before / after:.2f}x)"
            )
        if self._beyond & {name for row in self.rows for name in row.times}:
            notes.append(f"(in brackets: not within the relative error bound of {self.bound:g})")
        if any(row.left_open for row in self.rows):
            notes.append(
                "? left open, since other programs were busy: tune again when they are not, or "
                "keep these times too (--despite-load, despite_load=True)"
            )
        for row in self.rows:
            notes += [f"{row.title}: {name}: {why}" for name, why in row.left_out.items()]
        return [*notes, self.sentence]


def describe(problem: Problem) -> str:
    """Return a problem in a few words: "28x28x64 -> 64, 3x3/2"."""
    size = f"{problem.height}x{problem.width}x{problem.channels} -> {problem.filters}"
    window = "x".join(map(str, problem.kernel))
    strides = sorted(set(problem.strides))
    stride = "" if strides == [1] else "/" + "x".join(map(str, strides))
    groups = f", {problem.groups} groups" if problem.groups > 1 else ""
    return f"{size}, {window}{stride}{groups}"


def _layers(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more
