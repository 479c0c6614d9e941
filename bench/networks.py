"""Inference of networks by name against ONNX Runtime, in turns, on the same images and threads.

    python bench/networks.py --peer-python ~/torch-env/bin/python [--batch 1 8] [NETWORK ...]

fastcnn writes each network as an ONNX file, with normalizations folded, which the peer's Python
runs. In each round each of the two predicts for some time; what one finds is the fastest of its
predictions in a round, and a row has the medians of the rounds, and of their ratios, above 1 where
fastcnn is faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

NETWORKS = ("resnet50", "mobilenet-v2", "squeezenet1-1")


def fastest(predict: Callable[[], object], seconds: float) -> float:
    """The shortest of the calls, in milliseconds, that begin within some time."""
    predict()
    end, shortest = time.perf_counter() + seconds, float("inf")
    while shortest == float("inf") or time.perf_counter() < end:
        begun = time.perf_counter()
        predict()
        shortest = min(shortest, time.perf_counter() - begun)
    return 1e3 * shortest


def serve(path: str, batch: int, threads: int) -> None:
    """The peer's process: a line with a time in seconds in, a line with the fastest call out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    x = images((batch, *source.shape[1:]))
    for line in sys.stdin:
        print(fastest(lambda: session.run(None, {source.name: x}), float(line)), flush=True)


def images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def race(name: str, batch: int, options: argparse.Namespace) -> str:
    """A network's row of the table."""
    import fastcnn

    fastcnn.set_num_threads(options.threads)
    model = fastcnn.applications.get(name)(seed=1)
    x = images((batch, *model.input_shape))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        model.to_onnx(path, input_layout="NCHW", fold_batch_norm=True)
        command = [options.peer_python, __file__, "--serve", path, "--batch", str(batch)]
        with subprocess.Popen(
            [*map(str, command), "--threads", str(options.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as peer:
            rounds = []
            for _ in range(options.repeat + 1):
                ours = fastest(lambda: model.predict(x), options.seconds)
                print(options.seconds, file=peer.stdin, flush=True)
                rounds.append((ours, float(peer.stdout.readline())))
            peer.stdin.close()
    rounds = rounds[1:]  # the first warms up
    ours, theirs, ratio = (
        statistics.median(values)
        for values in (
            [r[0] for r in rounds],
            [r[1] for r in rounds],
            [r[1] / r[0] for r in rounds],
        )
    )
    return f"| `{name}` | {batch} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each in a round")
    parser.add_argument("--peer-python", default=os.environ.get("FASTCNN_PEER_PYTHON"))
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.batch[0], options.threads)
        return
    if not options.peer_python:
        parser.error("--peer-python: a Python that has onnxruntime.")
    print("| network | batch | fastcnn, ms | ONNX Runtime, ms | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in options.networks:
        for batch in options.batch:
            print(race(name, batch, options), flush=True)


if __name__ == "__main__":
    main()
