"""Attacks here, and by a plain loop in PyTorch on the same weights: how many images they deceive.

    python tools/attack_parity.py --peer /path/to/python-with-torch [--data fashion-mnist]

Networks are trained for a moment. Compared are the shares of the test images that FGSM and PGD
deceive, targeted and not, whose random starts the two draw by themselves. Ends with code 1 if two
shares differ by more than one in a hundred.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from peer_files import read_network, write_model

LIMIT = 0.01
EPSILONS = (2 / 255, 4 / 255, 8 / 255, 16 / 255)
STEPS, RATE = 10, 0.25
TARGET = 3
IMAGES = 1000

# ---- the peer's process ----


def answer(folder: Path) -> None:
    """Attack the network in a folder; write the shares of images that are deceived."""
    import torch
    import torch.nn.functional as F

    network, _ = read_network(folder, torch.float32)
    network.training = False
    with np.load(folder / "images.npz") as file:
        x, y = torch.tensor(file["x"], dtype=torch.float32), torch.tensor(file["y"]).long()
    torch.manual_seed(1)

    def attacked(epsilon: float, steps: int, rate: float, target: int | None) -> Any:
        far = 255 * epsilon
        labels = y if target is None else torch.full_like(y, target)
        moved = x.clone()
        if steps > 1:
            moved = (x + torch.empty_like(x).uniform_(-far, far)).clamp(0, 255)
        for _ in range(steps):
            moved.requires_grad_()
            loss = F.nll_loss(network(moved).log(), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            step = rate * far * gradient.sign()
            moved = moved.detach() + (step if target is None else -step)
            moved = torch.min(torch.max(moved, x - far), x + far).clamp(0, 255)
        with torch.no_grad():
            classes = network(moved).argmax(dim=1)
        return (classes != y if target is None else classes == target).float().mean().item()

    shares = {name: attacked(*settings) for name, settings in attacks().items()}
    (folder / "shares.json").write_text(json.dumps(shares))


# ---- fastcnn's process ----


def attacks() -> dict[str, tuple[float, int, float, int | None]]:
    """Epsilon, steps, rate and target of each attack, by its name."""
    every: dict[str, tuple[float, int, float, int | None]] = {}
    for epsilon in EPSILONS:
        name = f"{255 * epsilon:.0f}/255"
        every[f"FGSM {name}"] = epsilon, 1, 1.0, None
        every[f"PGD {name}"] = epsilon, STEPS, RATE, None
        every[f"PGD {name} to class {TARGET}"] = epsilon, STEPS, RATE, TARGET
    return every


def networks(shape: tuple[int, ...]) -> dict[str, Any]:
    """The networks to attack, by name."""
    import fastcnn
    from fastcnn import layers as L

    normalized = [
        L.Rescaling(1 / 255),
        L.Conv2D(16, 3, use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.MaxPooling2D(),
        L.Residual([L.Conv2D(16, 3, padding="same", activation="relu")]),
        L.AveragePooling2D(2, strides=2),
        L.Flatten(),
        L.Dense(10, activation="softmax"),
    ]
    return {
        "lenet5": fastcnn.applications.get("lenet5")(input_shape=shape, rescale=True),
        "normalized": fastcnn.Sequential(normalized, shape),
    }


def shares(model: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """The shares of images that fastcnn's attacks deceive."""
    from fastcnn import explain

    deceived = {}
    for name, (epsilon, steps, rate, target) in attacks().items():
        if steps == 1:
            result = explain.fgsm(model, x, y, epsilon, target)
        else:
            result = explain.pgd(model, x, y, epsilon, target, steps=steps, rate=rate)
        deceived[name] = float(result.success.mean())
    return deceived


def main() -> int:
    from fastcnn import data

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", required=True, help="a Python that has PyTorch")
    parser.add_argument("--data", default="fashion-mnist")
    args = parser.parse_args()
    (x, y), (held, labels) = data.load(args.data)
    held, labels = held[:IMAGES].astype(np.float32), labels[:IMAGES]
    worst = 0.0
    for network, model in networks(x.shape[1:]).items():
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x[:10_000], y[:10_000], epochs=2, verbose=0)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_model(folder, model)
            np.savez(folder / "images.npz", x=held, y=labels)
            subprocess.run([args.peer, __file__, str(folder)], check=True)
            theirs = json.loads((folder / "shares.json").read_text())
        for attack, share in shares(model, held, labels).items():
            worst = max(worst, abs(share - theirs[attack]))
            print(f"{network:10}  {attack:24} {share:6.1%}  PyTorch {theirs[attack]:6.1%}")
    print(f"The largest difference: {worst:.2%}.")
    return int(worst > LIMIT)


if __name__ == "__main__":
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():
        answer(Path(sys.argv[1]))
    else:
        raise SystemExit(main())
