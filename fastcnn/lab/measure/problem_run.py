"""One direction of one problem: every strategy checked, then all timed in turn with the peer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastcnn import strategies
from fastcnn.autotune import benchmark
from fastcnn.autotune.benchmark import Maker
from fastcnn.autotune.cpu_contention import CpuContention
from fastcnn.functional import Convolution
from fastcnn.lab.measure.peer import Peer, PeerError
from fastcnn.lab.measure.validation import Examiner, Finding
from fastcnn.lab.results import AutoChoice, Ceilings, NamedProblem, Result, winner
from fastcnn.strategies import AUTO, STRATEGIES

FAR, LONG = 4.0, 20.0  # times the best, and ms: what is slower runs only one round
PACE = 0.05  # seconds of calls in one turn, after a first one that does not count
MOST_CALLS = 20  # in one turn
NO_MEMORY = "there is not enough memory"

Rounds = list[list[float]]  # ms of each call in each round


class Task(NamedTuple):
    """What to measure: names of strategies, "auto" perhaps among them."""

    problem: NamedProblem
    direction: str
    strategies: tuple[str, ...]


class ProblemRun:
    """See `run`. `results` and `choice` tell what came of it, also after half of it.

    `disturbance` is the share of the processors that others took during our own turns, and the
    seconds that those lasted.
    """

    def __init__(
        self,
        task: Task,
        peer: Peer | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ):
        self.task = task
        self.device, self.precision = device, precision
        self.disturbance = (0.0, 0.0)
        self._peer = peer
        self._chosen = None
        if AUTO in task.strategies:
            named = task.problem
            self._chosen = strategies.choose(
                *(task.direction, named.problem, named.batch), device=device, precision=precision
            )
        asked = {*task.strategies, *([self._chosen.name] if self._chosen else [])}
        self.names = [name for name in STRATEGIES if name in asked]
        self._reasons = self._declining()
        self._findings: dict[str, Finding] = {}
        self._workspace: dict[str, int] = {}
        self._rounds: dict[str, Rounds] = {}
        self._peer_rounds: dict[str, Rounds] = {}  # by variant

    def run(self, repeat: int, stopped: Callable[[], bool], show: Callable[[str], None]) -> None:
        """Check every strategy, then let those that are right, and the peer, take turns."""
        self._examine(stopped, show)
        named = self.task.problem
        try:
            operands = benchmark.arrays(self.task.direction, named.problem, named.batch)
        except MemoryError:
            for name in list(self._rounds):
                self._leave_out(name, NO_MEMORY)
            return
        maker = Maker(self.task.direction, named.problem, operands, self.device, self.precision)
        if self._peer is not None and not stopped():
            self._prepare(self._peer)
        for number in range(repeat):
            self._own_round(number, maker, stopped, show)
            if self._peer is not None and not stopped():
                self._peer_round(self._peer, show)
        if self._peer is not None and self._peer_rounds:
            self._peer.drop()

    def _declining(self) -> dict[str, str]:
        table = strategies.table(self.device)
        asked = self.task.direction, self.task.problem.problem
        reasons = {
            name: table[name].declines(*asked)
            if name in table
            else f"it has no kernels for device '{self.device}'"
            for name in self.names
        }
        return {name: reason for name, reason in reasons.items() if reason}

    def _examine(self, stopped: Callable[[], bool], show: Callable[[str], None]) -> None:
        named = self.task.problem
        examiner = Examiner(
            self.task.direction, named.problem, named.batch, self.device, self.precision
        )
        for name in self.names:
            if name in self._reasons or stopped():
                continue
            show(f"checking {name}")
            try:
                self._findings[name] = examiner.examine(name)
            except MemoryError:
                self._reasons[name] = NO_MEMORY
            else:
                if self._findings[name].wrong is None:
                    self._rounds[name] = []

    def _own_round(
        self,
        number: int,
        maker: Maker,
        stopped: Callable[[], bool],
        show: Callable[[str], None],
    ) -> None:
        others, start = CpuContention(), time.perf_counter()
        names = self._close()
        for turn in range(len(names)):
            if stopped():
                break
            # Another one begins each round.
            name = names[(number + turn) % len(names)]
            show(name)
            self._turn(name, maker)
        share, seconds = self.disturbance
        taken = time.perf_counter() - start
        # A GPU's own clock does not count what others take of the processors.
        others_share = others.share if self.device == "cpu" else 0.0
        total = (share * seconds + others_share * taken) / max(seconds + taken, 1e-9)
        self.disturbance = total, seconds + taken

    def _close(self) -> list[str]:
        """Return those that are still near the best."""
        fastest = {name: _fastest(rounds) for name, rounds in self._rounds.items() if rounds}
        limit = max(FAR * min(fastest.values(), default=0.0), LONG)
        return [name for name in self._rounds if fastest.get(name, 0.0) <= limit]

    def _turn(self, name: str, maker: Maker) -> None:
        """Time some calls."""
        try:
            convolution = maker.make(name)
            self._workspace[name] = convolution.workspace
            reason = benchmark.too_large(convolution.workspace, self.device)
            if reason:
                self._leave_out(name, reason)
                return
            self._rounds[name].append(_timed(convolution, self.device))
        except MemoryError:
            self._leave_out(name, NO_MEMORY)

    def _leave_out(self, name: str, reason: str) -> None:
        del self._rounds[name]
        self._reasons[name] = reason

    def _prepare(self, peer: Peer) -> None:
        named = self.task.problem
        try:
            variants = peer.prepare(self.task.direction, named.problem, named.batch)
            self._peer_rounds = {variant: [] for variant in variants}
        except PeerError as error:
            self._reasons[peer.name] = str(error)

    def _peer_round(self, peer: Peer, show: Callable[[str], None]) -> None:
        try:
            for variant, rounds in self._peer_rounds.items():
                show(f"{peer.name}, {variant}")
                rounds.append(peer.run(variant, PACE, MOST_CALLS))
        except PeerError as error:
            self._peer_rounds = {}
            self._reasons[peer.name] = str(error)

    @property
    def _variant(self) -> str | None:
        """The variant in which the peer is fastest."""
        timed = {name: rounds for name, rounds in self._peer_rounds.items() if rounds}
        return min(timed, key=lambda name: _median(timed[name]), default=None)

    def results(self, ceilings: Ceilings) -> list[Result]:
        """Return what is known of every strategy, and last of the peer."""
        timed = [self._result(name, ceilings) for name in self.names]
        if self._peer is not None:
            timed.append(self._peer_result(self._peer, ceilings))
        return [result for result in timed if result is not None]

    @property
    def choice(self) -> AutoChoice | None:
        """What "auto" takes, where it was asked for, beside the fastest."""
        if self._chosen is None:
            return None
        best = winner(self.results(Ceilings(1.0, 1.0, 1.0)))
        own = self._rounds.get(self._chosen.name)
        ratio = _ratio(self._rounds[best.strategy], own) if best and own else None
        fastest = best.strategy if best and own else None
        return AutoChoice(self.task.problem, self.task.direction, *self._chosen, fastest, ratio)

    def _result(self, name: str, ceilings: Ceilings) -> Result | None:
        finding = self._findings.get(name, Finding(None, None))
        heading: dict[str, Any] = {**self._heading(name), "error": finding.error}
        if name in self._reasons:
            return Result(**heading, verdict="declined", reason=self._reasons[name])
        if finding.wrong is not None:
            return Result(**heading, verdict="WRONG", reason=finding.wrong)
        if not self._rounds.get(name):
            return None
        figures = self._figures(self._rounds[name], ceilings)
        return Result(**heading, verdict="ok", workspace=self._workspace[name], **figures)

    def _peer_result(self, peer: Peer, ceilings: Ceilings) -> Result | None:
        heading: dict[str, Any] = {**self._heading(peer.name), "peer": True}
        if peer.name in self._reasons:
            return Result(**heading, verdict="declined", reason=self._reasons[peer.name])
        if self._variant is None:
            return None
        figures = self._figures(self._peer_rounds[self._variant], ceilings)
        return Result(**heading, verdict="ok", variant=self._variant, **figures)

    def _heading(self, name: str) -> dict[str, Any]:
        return {
            "problem": self.task.problem,
            "direction": self.task.direction,
            "strategy": name,
        }

    def _figures(self, rounds: Rounds, ceilings: Ceilings) -> dict[str, Any]:
        problem = self.task.problem
        minimum = _fastest(rounds)
        gflops = problem.flops / minimum / 1e6
        peer = self._peer_rounds.get(self._variant) if self._variant else None
        return {
            "minimum_ms": minimum,
            "median_ms": _median(rounds),
            "gflops": gflops,
            "of_sgemm": gflops / ceilings.sgemm_gflops if ceilings.sgemm_gflops else None,
            "of_roofline": gflops / ceilings.roofline(problem.intensity),
            "to_direct": _ratio(self._rounds.get("direct"), rounds),
            "to_peer": _ratio(peer, rounds),
        }


def _timed(convolution: Convolution, device: str) -> list[float]:
    """Return milliseconds of some calls."""
    return [1e3 * seconds for seconds in benchmark.timed(convolution, device, MOST_CALLS, PACE)]


def _fastest(rounds: Rounds) -> float:
    return min(min(calls) for calls in rounds)


def _median(rounds: Rounds) -> float:
    return statistics.median(ms for calls in rounds for ms in calls)


def _ratio(theirs: Rounds | None, own: Rounds) -> float | None:
    """Return how many times faster `own` is: the median of the ratios of the rounds.

    A round counts by its fastest call: one that shares the processor with another program takes a
    multiple of itself.
    """
    ratios = [min(their) / min(mine) for their, mine in zip(theirs or [], own, strict=False)]
    return statistics.median(ratios) if ratios else None
