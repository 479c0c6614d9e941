"""PyTorch as the lab's peer: a script of a process of its own, which never imports fastcnn.

It answers JSON lines on stdin by JSON lines on stdout until stdin closes:

    {"command": "describe"}                            -> name, versions
    {"command": "prepare", "direction", "problem",
     "images"}                                         -> variants
    {"command": "run", "variant", "seconds", "calls"}  -> ms of each call
    {"command": "drop"}                                -> {}

What fails is answered by {"error": "..."}. A variant is a memory layout. The number of threads is
in OMP_NUM_THREADS; the arguments are the device, cpu or cuda, and the precision, float32 or tf32.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

VARIANTS = ("channels_first", "channels_last")
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
CLEARED = 512 << 20  # bytes, as in fastcnn.autotune.benchmark


class Torch:
    """The prepared calls of one direction of one problem, by variant."""

    def __init__(self, device: str, precision: str) -> None:
        import torch

        self.torch = torch
        self.device = device
        self.calls: dict[str, Callable[[], Any]] = {}
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        if device == "cuda":
            if not torch.cuda.is_available():
                raise RuntimeError("PyTorch finds no GPU")
            # cuDNN times its algorithms once for each shape, and takes the fastest.
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"

    def describe(self) -> dict[str, Any]:
        versions = {"python": platform.python_version(), "torch": self.torch.__version__}
        if self.device == "cuda":
            versions["cuDNN"] = str(self.torch.backends.cudnn.version())
        return {"name": "torch", "versions": versions}

    def prepare(self, direction: str, problem: dict[str, Any], images: int) -> dict[str, Any]:
        self.calls = {
            variant: self._call(direction, problem, images, variant) for variant in VARIANTS
        }
        return {"variants": VARIANTS}

    def run(self, variant: str, seconds: float, calls: int) -> dict[str, Any]:
        call = self.calls[variant]
        call()
        timed = self._timed_on_gpu() if self.device == "cuda" else _timed
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < calls and (not times or time.perf_counter() < end):
            times.append(timed(call))
        return {"ms": times}

    def drop(self) -> dict[str, Any]:
        self.calls = {}
        if self.device == "cuda":
            self.torch.cuda.empty_cache()
        return {}

    def _timed_on_gpu(self) -> Callable[[Callable[[], Any]], float]:
        """Return a function that times a call by events.

        A large copy goes first, as in fastcnn.autotune.benchmark: while it runs the host puts the
        call's kernels on the stream, and after it no cache holds the call's arrays.
        """
        cuda = self.torch.cuda
        source = self.torch.empty(CLEARED, dtype=self.torch.uint8, device="cuda")
        target = self.torch.empty_like(source)
        start, end = (cuda.Event(enable_timing=True) for _ in range(2))

        def timed(call: Callable[[], Any]) -> float:
            target.copy_(source)
            start.record()
            call()
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end))

        return timed

    def _call(
        self, direction: str, problem: dict[str, Any], images: int, variant: str
    ) -> Callable[[], Any]:
        """Return a function that computes the direction once."""
        channels, filters, groups = (problem[name] for name in ("channels", "filters", "groups"))
        image = (images, channels, problem["height"], problem["width"])
        output = (images, filters, problem["out_height"], problem["out_width"])
        x, dy = self._numbers(image, variant), self._numbers(output, variant)
        weight = self._numbers((filters, channels // groups, *problem["kernel"]), variant)
        (top, bottom), (left, right) = problem["padding"]
        even = top == bottom and left == right
        padding = [top, left] if even else [0, 0]
        pad = self.torch.nn.functional.pad
        margin = (left, right, top, bottom)
        strides, dilation = list(problem["strides"]), list(problem["dilation"])

        # Autograd keeps the padded images, and cuts the margin off their gradient without a copy.
        inputs = x if even else pad(x, margin)

        def forward() -> None:
            with self.torch.inference_mode():
                self.torch.nn.functional.conv2d(
                    x if even else pad(x, margin), weight, None, strides, padding, dilation, groups
                )

        def backward() -> None:
            wanted = [direction == "dx", direction == "dw", False]
            self.torch.ops.aten.convolution_backward(
                *(dy, inputs, weight, None, strides, padding, dilation, False, [0, 0], groups),
                wanted,
            )

        return forward if direction == "forward" else backward

    def _numbers(self, shape: tuple[int, ...], variant: str) -> Any:
        layout = {
            "channels_first": self.torch.contiguous_format,
            "channels_last": self.torch.channels_last,
        }[variant]
        return self.torch.randn(shape, device=self.device).contiguous(memory_format=layout)


def _timed(call: Callable[[], Any]) -> float:
    """Return the milliseconds of a call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def bind_to_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it even while suspended, where that is possible."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def main() -> None:
    """Answer requests until stdin closes."""
    bind_to_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints must not mix with the answers
    torch: Torch | None = None
    for line in sys.stdin:
        try:
            torch = torch or Torch(*sys.argv[1:])
            request = json.loads(line)
            answer = getattr(torch, request.pop("command"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
