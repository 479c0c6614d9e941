"""The race's competitors as processes: started, asked, and stopped while another one runs."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from disturbance import CpuContention

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# With glibc's defaults PyTorch gives its large buffers back to the system at every step.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}


class Kind(NamedTuple):
    """A framework in the race: its script, and whether it runs in the peers' interpreter."""

    name: str
    script: str
    peer: bool = True


FASTCNN = Kind("fastcnn", "fastcnn_peer.py", peer=False)
SGEMM = Kind("sgemm", "sgemm_peer.py", peer=False)
TORCH = Kind("PyTorch", "torch_peer.py")
ONNX = Kind("ONNX Runtime", "onnx_peer.py")


class Setting(NamedTuple):
    """What all competitors share."""

    threads: int
    peer_python: str

    def command(self, kind: Kind, *arguments: str) -> list[str]:
        python = self.peer_python if kind.peer else sys.executable
        return [python, str(PEERS / kind.script), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        threads = {name: str(self.threads) for name in THREAD_VARIABLES}
        # fastcnn is raced as it stands in this folder, installed or not.
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "FASTCNN_RACE_THREADS": str(self.threads)}
        return {**os.environ, **threads, **own, **more}


class Competitor:
    """A running competitor. Outside of a request its process is suspended.

    Spinning worker threads of one framework would otherwise take time from the next one.
    """

    def __init__(self, kind: Kind, setting: Setting, name: str | None = None):
        self.name = name or kind.name
        self.complaints = tempfile.TemporaryFile("w+") if kind.peer else None  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                setting.command(kind),
                env=setting.environment(**(KEEP_MEMORY if kind.peer else {})),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.complaints,
                text=True,
            )
        except OSError:
            self._forget_complaints()
            raise
        try:
            self.about = self.ask(command="describe")
        except RuntimeError:
            self.close()
            raise

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends a request and returns the answer; RuntimeError where the competitor failed."""
        self._signal("SIGCONT")
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError(f"{self.name} was started without pipes.")
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.name} ended: {self._last_words()}")
        self._signal("SIGSTOP")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer

    def _signal(self, name: str) -> None:
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))

    def _last_words(self) -> str:
        code = self.process.wait()
        if self.complaints is not None:
            self.complaints.seek(0)
            if lines := self.complaints.read().strip().splitlines():
                return lines[-1]
        return f"exit code {code}"

    def close(self) -> None:
        """Ends the process."""
        self._signal("SIGCONT")
        self.process.kill()
        self.process.communicate()
        self._forget_complaints()

    def _forget_complaints(self) -> None:
        if self.complaints is not None:
            self.complaints.close()


class Entry(NamedTuple):
    """One competitor's way of doing a task."""

    competitor: Competitor
    task: dict[str, Any]

    @property
    def variant(self) -> str:
        return str(self.task["variant"])


class Result(NamedTuple):
    """What one entry reached: its median ms of a step in each round."""

    name: str
    variant: str
    rounds: list[float]

    @property
    def ms(self) -> float:
        return statistics.median(self.rounds)

    def times_faster_than(self, other: Result) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(other.rounds, self.rounds, strict=True)
        return statistics.median(theirs / own for theirs, own in pairs)


def entries(competitors: list[Competitor], net: str, mode: str, batch: int) -> list[Entry]:
    """Every variant of every competitor that can do this."""
    return [
        Entry(competitor, {"net": net, "mode": mode, "batch": batch, "variant": variant})
        for competitor in competitors
        for variant in competitor.about["variants"].get(mode, ())
    ]


def race(
    field: list[Entry], rounds: int, seconds: float, disturbance: CpuContention | None = None
) -> list[Result]:
    """Every entry runs once a round, in turns that change from round to round.

    An entry that fails is left out, with a line on stderr. With `disturbance`, what else the CPU
    does is counted meanwhile.
    """
    ready = [entry for entry in field if _prepared(entry)]
    results = [Result(entry.competitor.name, entry.variant, []) for entry in ready]
    if disturbance is not None:
        disturbance.start({entry.competitor.process.pid for entry in ready})
    for turn in range(rounds):
        for offset in range(len(ready)):
            index = (turn + offset) % len(ready)
            competitor, task = ready[index]
            times = competitor.ask(command="run", task=task, seconds=seconds)["ms"]
            results[index].rounds.append(statistics.median(times))
    if disturbance is not None:
        disturbance.stop()
    for competitor, task in ready:
        competitor.ask(command="drop", task=task)
    return results


def _prepared(entry: Entry) -> bool:
    try:
        entry.competitor.ask(command="prepare", task=entry.task)
    except (MemoryError, RuntimeError, ValueError) as error:
        print(f"left out, {entry.task}: {error}", file=sys.stderr)
        return False
    return True


def fresh_process(
    kind: Kind, setting: Setting, *arguments: str, **environment: str
) -> dict[str, Any]:
    """What a new process of a competitor answers to `memory` or `startup` NET BATCH VARIANT."""
    done = subprocess.run(
        setting.command(kind, *arguments),
        env=setting.environment(**environment),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(json.loads(done.stdout))
