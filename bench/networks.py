"""Networks by name against ONNX Runtime, or their training against PyTorch, in turns.

    python bench/networks.py --peer-python ~/torch-env/bin/python [--batch 1 8] [NETWORK ...]
    python bench/networks.py --train --size 64 --batch 32 resnet18

For inference fastcnn writes each network as an ONNX file, with normalizations folded, which the
peer's Python runs. A training step is forward, loss, backward and SGD with momentum; PyTorch's is
that of peers/torch_nets.py, in either layout. Both have the same images and threads. In each round
each of the two steps for some time, the one first that was second before, and what it reaches is
its fastest step. A row has the times of the round with the median ratio, above 1 where fastcnn is
faster.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from competitors import KEEP_MEMORY, PEERS

INFERRED, TRAINED = ("resnet50", "mobilenet-v2", "squeezenet1-1"), ("resnet18",)
LAYOUTS = ("eager", "eager channels-last")

Step = Callable[[], object]


def fastest(step: Step, seconds: float) -> float:
    """The shortest of the steps, in milliseconds, that begin within some time."""
    step()
    end, shortest = time.perf_counter() + seconds, float("inf")
    while shortest == float("inf") or time.perf_counter() < end:
        begun = time.perf_counter()
        step()
        shortest = min(shortest, time.perf_counter() - begun)
    return 1e3 * shortest


def images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def labels(batch: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 10, batch)


# ---- the peer's process ----


def serve(step: Step) -> None:
    """A line with a time in seconds in, a line with the fastest step out."""
    for line in sys.stdin:
        print(fastest(step, float(line)), flush=True)


def onnx_step(path: str, options: argparse.Namespace) -> Step:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    x = images((options.batch[0], *source.shape[1:]))
    return lambda: session.run(None, {source.name: x})


def torch_step(layout: str, options: argparse.Namespace) -> Step:
    sys.path.insert(0, str(PEERS))
    import torch
    import torch_nets
    import torch_peer

    torch.set_num_threads(options.threads)
    (name,), batch = options.networks, options.batch[0]
    if name not in torch_nets.NETS:
        sys.exit(f"peers/torch_nets.py has no {name!r}, but {', '.join(torch_nets.NETS)}.")
    size = options.size
    x = torch.from_numpy(images((batch, size, size, torch_nets.SHAPES[name][-1])))
    x, net = x.permute(0, 3, 1, 2).contiguous(), torch_nets.NETS[name]()
    if layout.endswith("channels-last"):
        x = x.contiguous(memory_format=torch.channels_last)
        net = net.to(memory_format=torch.channels_last)
    return torch_peer.training_step(net, x, torch.from_numpy(labels(batch)), compiled=False)


# ---- fastcnn's process ----


class Peer:
    """The other side of a race, in its own process.

    Raises:
        RuntimeError: It could not be started, or ended; what it had to say is on stderr.
    """

    def __init__(self, options: argparse.Namespace, *arguments: str) -> None:
        command = [options.peer_python, __file__, *arguments, "--threads", str(options.threads)]
        try:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **KEEP_MEMORY},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise RuntimeError(f"the peer's Python does not start: {error}") from error

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def fastest(self, seconds: float) -> float:
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the peer was started without pipes.")
        try:
            print(seconds, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the peer's Python ended with code {self.process.wait()}.")
        return float(line)


class Round(NamedTuple):
    """Each side's fastest step, in milliseconds."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def race(step: Step, peer: Peer, options: argparse.Namespace) -> Round:
    """The round with the median ratio; which side goes first alternates."""
    rounds = []
    for number in range(options.repeat + 1):
        if number % 2:
            theirs = peer.fastest(options.seconds)
            ours = fastest(step, options.seconds)
        else:
            ours = fastest(step, options.seconds)
            theirs = peer.fastest(options.seconds)
        rounds.append(Round(ours, theirs))
    del rounds[0]  # it warms up
    return sorted(rounds, key=lambda each: each.ratio)[len(rounds) // 2]


def infer(name: str, batch: int, options: argparse.Namespace) -> Round:
    """A network's predictions beside ONNX Runtime's."""
    import fastcnn

    model = fastcnn.applications.get(name)(seed=1)
    x = images((batch, *model.input_shape))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        model.to_onnx(path, input_layout="NCHW", fold_batch_norm=True)
        with Peer(options, "--onnx", str(path), "--batch", str(batch)) as peer:
            return race(lambda: model.predict(x), peer, options)


def train(name: str, batch: int, layout: str, options: argparse.Namespace) -> Round:
    """A network's training steps beside PyTorch's."""
    import fastcnn

    network = fastcnn.applications.get(name)
    size = options.size
    model = network((size, size, network().input_shape[-1]), seed=1)
    optimizer = fastcnn.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    x, y, engine = images((batch, *model.input_shape)), labels(batch), model.engine()
    arguments = ("--size", str(size), "--batch", str(batch))
    with Peer(options, name, "--torch", layout, *arguments) as peer:
        return race(lambda: engine.train(x, y.astype(np.int32), None), peer, options)


def rows(options: argparse.Namespace) -> Iterator[str]:
    """The table's lines."""
    peer = "PyTorch" if options.train else "ONNX Runtime"
    extra = (" image | layout |", " --- | --- |") if options.train else ("", "")
    yield f"| network |{extra[0]} batch | fastcnn, ms | {peer}, ms | ratio |"
    yield f"| --- |{extra[1]} ---: | ---: | ---: | ---: |"
    size = options.size
    for name in options.networks:
        for batch in options.batch:
            for layout in LAYOUTS if options.train else ("",):
                if options.train:
                    median = train(name, batch, layout, options)
                    about = f"`{name}` | {size} x {size} | {layout}"
                else:
                    median, about = infer(name, batch, options), f"`{name}`"
                times = f"{median.ours:.2f} | {median.theirs:.2f} | {median.ratio:.2f}"
                yield f"| {about} | {batch} | {times} |"


def at_least_1(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--train", action="store_true", help="steps of training, beside PyTorch")
    parser.add_argument("--size", type=at_least_1, default=64, help="of images to train on")
    parser.add_argument("--batch", nargs="+", type=at_least_1, help="default: 1 8, to train 32")
    parser.add_argument("--threads", type=at_least_1, default=os.cpu_count())
    parser.add_argument("--repeat", type=at_least_1, default=7, help="rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each in a round")
    parser.add_argument("--peer-python", default=os.environ.get("FASTCNN_PEER_PYTHON"))
    parser.add_argument("--onnx", help=argparse.SUPPRESS)
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.onnx or options.torch:
        return options
    options.networks = options.networks or (TRAINED if options.train else INFERRED)
    options.batch = options.batch or ([32] if options.train else [1, 8])
    if not options.peer_python:
        parser.error("--peer-python: a Python that has onnxruntime, or torch for --train.")
    import fastcnn

    try:
        for name in options.networks:
            fastcnn.applications.get(name)
    except ValueError as error:
        parser.error(str(error))
    fastcnn.set_num_threads(options.threads)
    return options


def main() -> None:
    options = arguments()
    if options.onnx:
        serve(onnx_step(options.onnx, options))
    elif options.torch:
        serve(torch_step(options.torch, options))
    else:
        try:
            for line in rows(options):
                print(line, flush=True)
        except RuntimeError as error:
            sys.exit(f"networks.py: {error}")


if __name__ == "__main__":
    main()
