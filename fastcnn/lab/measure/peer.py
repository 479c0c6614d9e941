"""A framework to compare with, in a process of its own that is suspended while we measure.

Its worker threads, which spin for a while after each call, would otherwise take our time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastcnn.graph.problem import Problem
from fastcnn.utils.threads import num_threads

SCRIPTS = {"torch": Path(__file__).with_name("torch_peer.py")}
PYTHON = "FASTCNN_PEER_PYTHON"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# With glibc's defaults PyTorch gives its large buffers back to the system at every call.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}


class PeerError(RuntimeError):
    """The peer failed, in words."""


class Peer:
    """A running peer; see lab/measure/torch_peer.py for what it is asked.

    `python` is the interpreter that has the framework, by default $FASTCNN_PEER_PYTHON or our own.
    It computes on `device` in `precision`. PeerError where it cannot be started.
    """

    def __init__(
        self,
        name: str,
        python: str | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ):
        self.name = name
        self.python = python or os.environ.get(PYTHON) or sys.executable
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115
        threads = dict.fromkeys(THREAD_VARIABLES, str(num_threads()))
        try:
            self._process = subprocess.Popen(
                [self.python, str(SCRIPTS[name]), device, precision],
                env={**os.environ, **threads, **KEEP_MEMORY},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
        except OSError as error:
            self._complaints.close()
            raise PeerError(f"'{self.python}' cannot be run: {error.strerror}.") from None
        try:
            self.versions: dict[str, str] = self._ask(command="describe")["versions"]
        except PeerError as error:
            self.close()
            raise PeerError(f"'{self.python}' cannot be it: {error}.") from None

    def prepare(self, direction: str, problem: Problem, images: int) -> list[str]:
        """Make ready for one direction of a problem; return the variants that it can run."""
        described = {
            **asdict(problem),
            "out_height": problem.out_height,
            "out_width": problem.out_width,
        }
        answer = self._ask(command="prepare", direction=direction, problem=described, images=images)
        return list(answer["variants"])

    def run(self, variant: str, seconds: float, calls: int) -> list[float]:
        """Return milliseconds of each of at most `calls` calls, as many as fit in `seconds`."""
        answer = self._ask(command="run", variant=variant, seconds=seconds, calls=calls)
        return [float(ms) for ms in answer["ms"]]

    def drop(self) -> None:
        """Have the peer release its arrays."""
        self._ask(command="drop")

    def _ask(self, **request: Any) -> dict[str, Any]:
        self._signal("SIGCONT")
        try:
            line = self._exchanged(json.dumps(request))
        except OSError:
            line = ""
        if not line:
            raise PeerError(f"it ended: {self._last_words()}")
        self._signal("SIGSTOP")
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise PeerError(f"it answered {line.strip()[:80]!r}") from None
        if "error" in answer:
            raise PeerError(str(answer["error"]))
        return answer

    def _exchanged(self, line: str) -> str:
        if self._process.stdin is None or self._process.stdout is None:
            return ""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def _signal(self, name: str) -> None:
        if hasattr(signal, name) and self._process.poll() is None:
            self._process.send_signal(getattr(signal, name))

    def _last_words(self) -> str:
        code = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else f"exit code {code}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
