"""How training gets faster with ranks: measured on this computer, simulated for many.

Strong scaling keeps the batch, weak scaling gives each rank as many images. The simulated curve is
of computers like this one, each a rank with as many images, that exchange by the direct messages
of `distributed/ranks.py`: a meeting of R ranks costs a latency, R - 1 messages and its bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastcnn.models.sequential import Sequential

PROGRAM = "fastcnn.lab.measure.rank_step"
WORTH = 0.8
"""The efficiency below which more computers are not worth it."""


@dataclass(frozen=True)
class RankStep:
    """A training step of some ranks, in seconds: all of it, and what of it is exchange, which is
    also waiting for others. `sent` are the bytes that rank 0 sends in `messages`."""

    ranks: int
    images: int
    step: float
    exchanging: float
    exchanges: int
    messages: int
    sent: int
    latency: float = 0.0
    bandwidth: float = 0.0

    @property
    def transferring(self) -> float:
        """The seconds that the exchanges would take if nobody waited, by latency and bandwidth."""
        if not self.bandwidth:
            return 0.0
        return self.messages * self.latency + self.sent / self.bandwidth

    @property
    def waiting(self) -> float:
        """The rest of the exchanges' seconds."""
        return max(0.0, self.exchanging - self.transferring)


@dataclass(frozen=True)
class Network:
    """What joins computers: a latency in seconds, the processor's time for each message, and bytes
    a second."""

    name: str
    latency: float
    message: float
    bandwidth: float


NETWORKS = (
    Network("10 Gbit/s", 30e-6, 2e-6, 10e9 / 8),
    Network("100 Gbit/s", 3e-6, 1e-6, 100e9 / 8),
)


@dataclass(frozen=True)
class Scaling:
    """What was measured of a network at a batch: one rank, then others at the same batch (strong)
    and at as many images a rank (weak)."""

    model: str
    batch: int
    alone: RankStep
    strong: list[RankStep]
    weak: list[RankStep]

    def strong_efficiency(self, step: RankStep) -> float:
        """How fast ranks that share this computer's cores are, as a part of one rank with all."""
        return self.alone.step / step.step

    def weak_efficiency(self, step: RankStep) -> float:
        """The same for as many images a rank: ideally R times the time of one batch."""
        return step.ranks * self.alone.step / step.step

    def simulated_here(self, step: RankStep) -> float:
        """The weak efficiency that the simulation gives ranks on this computer, by the latency and
        bandwidth between them: to be checked against what was measured."""
        ideal = step.ranks * self.alone.step
        return ideal / (ideal + step.transferring)

    def simulated(self, network: Network, ranks: int) -> float:
        """The efficiency of so many computers, each with a batch of its own."""
        if ranks == 1:
            return 1.0
        gathered, scattered, meetings = self._bytes()
        sent = (ranks - 1) * gathered + (ranks - 1) / ranks * scattered
        messages = meetings * (ranks - 1)
        seconds = meetings * network.latency + messages * network.message + sent / network.bandwidth
        return self.alone.step / (self.alone.step + seconds)

    def most_worth(self, network: Network, most: int = 1024) -> int:
        """The first number of computers at which the efficiency is below WORTH; 0 where none is."""
        below = (n for n in range(2, most + 1) if self.simulated(network, n) < WORTH)
        return next(below, 0)

    def _bytes(self) -> tuple[float, float, int]:
        """What a rank sends to each other one, and what it sends in parts to all together, by the
        weak measurements: of R ranks it is (R - 1) * gathered + (R - 1) / R * scattered."""
        points = [step for step in self.weak if step.ranks > 1]
        meetings = points[0].exchanges
        if len(points) == 1:
            return points[0].sent / (points[0].ranks - 1), 0.0, meetings
        first, last = points[0], points[-1]
        a, b = first.sent / (first.ranks - 1), last.sent / (last.ranks - 1)
        # each rank's share of (R - 1): gathered + scattered / R
        scattered = (a - b) / (1 / first.ranks - 1 / last.ranks)
        gathered = a - scattered / first.ranks
        return max(gathered, 0.0), max(scattered, 0.0), meetings


def launcher() -> str:
    """Return the path of an mpirun; FileNotFoundError where there is none."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpirun = shutil.which("mpirun", path=path)
    if mpirun is None:
        raise FileNotFoundError(
            "bench scaling starts ranks by mpirun. Received no mpirun beside this Python or on "
            "PATH: pip install 'fastcnn[mpi]' mpich."
        )
    return mpirun


def measure(
    model: Sequential,
    name: str,
    batch: int,
    ranks: Sequence[int],
    steps: int,
    distributed: str = "mpi",
) -> Scaling:
    """Measure a compiled model's steps for each number of ranks, in processes of their own;
    `distributed` as `fit` takes it."""
    mpirun, others = launcher(), [count for count in ranks if count > 1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.h5")
        model.save(file)

        def run(count: int, images: int) -> RankStep:
            return _run(mpirun, Path(folder), file, distributed, count, images, steps)

        alone = run(1, batch)
        strong = [run(count, batch) for count in others]
        weak = [run(count, batch * count) for count in others]
    return Scaling(name, batch, alone, strong, weak)


def _run(
    mpirun: str, folder: Path, file: Path, distributed: str, ranks: int, images: int, steps: int
) -> RankStep:
    result = folder / "result.json"
    program = [
        sys.executable,
        "-m",
        PROGRAM,
        str(file),
        distributed,
        *map(str, (images, steps, result)),
    ]
    line = program if ranks == 1 else [mpirun, "-n", str(ranks), *program]
    # The first Open MPI that finds more ranks than cores, or root, refuses.
    allowed = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    process = subprocess.run(line, env={**os.environ, **allowed}, capture_output=True, text=True)
    if process.returncode:
        raise ChildProcessError(
            f"bench scaling: {ranks} ranks ended with status {process.returncode}: "
            f"{process.stderr.strip()[-600:]}"
        )
    return RankStep(ranks, images, **json.loads(result.read_text(encoding="utf-8")))
