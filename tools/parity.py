"""Compare networks with those of torchvision and timm: weights in, weights out, the same outputs?

    python tools/torch_parity.py --peer /path/to/python-with-torch [NETWORK ...]

For each network, the peer makes one with random weights and statistics, writes its weights as
safetensors (sorted by name) and in PyTorch's own order, and the outputs for random images. fastcnn
loads both and computes the outputs; then it draws weights of its own, and the peer takes them. A
row says by how much outputs differ at most, relative to the largest of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Case(NamedTuple):
    """A network, what of both libraries it is, and the images' height and width."""

    network: str
    library: str
    name: str
    size: int
    arguments: Mapping[str, Any] = NOTHING  # fastcnn's
    peer_arguments: Mapping[str, Any] = NOTHING
    epsilon: float | None = None  # of the peer's batch normalizations, where fastcnn's differ


KERAS = {"bn_eps": 1e-3, "pad_type": "same"}
TORCHVISION = {"version": "torchvision"}
CASES = [
    Case("alexnet_single", "torchvision", "alexnet", 224),
    *(Case(name, "torchvision", name, 224) for name in ("vgg11", "vgg13", "vgg16", "vgg19")),
    Case("vgg11", "timm", "vgg11", 224),
    Case("googlenet", "torchvision", "googlenet", 224, TORCHVISION, {"aux_logits": True}),
    Case("inception_v3", "torchvision", "inception_v3", 139, TORCHVISION),
    Case("inception_v3", "timm", "inception_v3", 139, TORCHVISION),
    *(
        Case(name, library, name, 96)
        for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121")
        for library in ("torchvision", "timm")
    ),
    Case("squeezenet1_0", "torchvision", "squeezenet1_0", 96),
    Case("squeezenet1_1", "torchvision", "squeezenet1_1", 96),
    Case("mobilenet", "timm", "mobilenetv1_100", 96, {}, KERAS),
    Case("mobilenet_v2", "torchvision", "mobilenet_v2", 96),
    Case("mobilenet_v2", "timm", "mobilenetv2_100", 96),
    Case("mobilenet_v2", "timm", "mobilenetv2_100", 96, {"version": "keras"}, KERAS),
    Case("efficientnet_b0", "torchvision", "efficientnet_b0", 96),
    Case("efficientnet_b0", "timm", "efficientnet_b0", 96),
    Case("efficientnet_b0", "timm", "tf_efficientnet_b0", 96, {"version": "keras"}),
    Case("efficientnet_lite0", "timm", "efficientnet_lite0", 96, TORCHVISION),
    Case("efficientnet_lite0", "timm", "tf_efficientnet_lite0", 96, {"version": "keras"}),
    Case("xception", "timm", "legacy_xception", 71, {}, {}, 1e-3),
]
CLASSES = 7


class Row(NamedTuple):
    """What a case gave: the largest relative differences of weights in and weights out."""

    case: Case
    into: float
    out: float

    def __str__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.case.arguments.items())
        peer = f"{self.case.library} `{self.case.name}`"
        return f"| `{self.case.network}`{arguments} | {peer} | {self.into:.1e} | {self.out:.1e} |"


# ---- the peer's process ----


def make(number: int, folder: Path) -> None:
    """Write a network's weights and outputs."""
    import torch
    from safetensors.numpy import save_file

    network = _network(CASES[number])
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    save_file(state, folder / "sorted.safetensors")
    np.savez(folder / "ordered.npz", **state)
    images = torch.randn(2, 3, CASES[number].size, CASES[number].size)
    np.savez(folder / "batch.npz", x=images.numpy(), y=_outputs(network, images))


def take(number: int, folder: Path) -> None:
    """Take the weights that fastcnn wrote, and write the outputs."""
    import torch
    from safetensors.torch import load_file

    network = _network(CASES[number])
    network.load_state_dict(load_file(folder / "taken.safetensors"), strict=True)
    with np.load(folder / "batch.npz") as batch:
        images = torch.from_numpy(batch["x"])
    np.savez(folder / "taken.npz", y=_outputs(network, images))


def _network(case: Case) -> Any:
    import torch

    torch.manual_seed(0)
    if case.library == "timm":
        import timm

        network = timm.create_model(case.name, num_classes=CLASSES, **case.peer_arguments)
    else:
        import torchvision

        network = getattr(torchvision.models, case.name)(num_classes=CLASSES, **case.peer_arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
            module.eps = case.epsilon or module.eps
    return network.eval()


def _outputs(network: Any, images: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        return network(images).numpy()


# ---- fastcnn's process ----


def compare(number: int, peer: str) -> Row:
    """Return what a case gives."""
    from safetensors.numpy import save_file

    import fastcnn

    case = CASES[number]
    build = getattr(fastcnn.applications, case.network)
    shape = (case.size, case.size, 3)
    options = {"classes": CLASSES, "classifier_activation": None, **case.arguments}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(peer, "make", number, folder)
        with np.load(folder / "batch.npz") as batch:
            images, expected = batch["x"].transpose(0, 2, 3, 1).copy(), batch["y"]
        with np.load(folder / "ordered.npz") as ordered:
            state = dict(ordered)
        differences = []
        for weights in (state, folder / "sorted.safetensors"):
            model = build(shape, **options)
            fastcnn.load_torch_weights(model, weights, verbose=False)
            differences.append(_difference(model.predict(images), expected))
        model = build(shape, **options, seed=1)
        save_file(model.to_torch_state_dict(like=state), folder / "taken.safetensors")
        _run(peer, "take", number, folder)
        with np.load(folder / "taken.npz") as taken:
            out = _difference(model.predict(images), taken["y"])
    return Row(case, max(differences), out)


def _run(peer: str, task: str, number: int, folder: Path) -> None:
    command = [peer, __file__, task, str(number), str(folder)]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main() -> None:
    """Print the table of the networks asked for."""
    if sys.argv[1:2] in (["make"], ["take"]):
        task = make if sys.argv[1] == "make" else take
        task(int(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="of fastcnn.applications; default all")
    parser.add_argument("--peer", required=True, help="a Python that has torch and timm")
    options = parser.parse_args()
    print("| network | theirs | in | out |", "| --- | --- | --- | --- |", sep="\n")
    for number, case in enumerate(CASES):
        if not options.networks or case.network in options.networks:
            print(compare(number, options.peer), flush=True)


if __name__ == "__main__":
    main()
