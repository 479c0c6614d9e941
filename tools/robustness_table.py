"""What adversarial training brings and costs: the table of docs/robustness.md.

    python tools/robustness_table.py fashion-mnist lenet5 --epochs 8
    python tools/robustness_table.py cifar10 cifar-small --epochs 6

Each network is trained three times from the same weights, on images as they are and on half and on
all of each batch attacked; the accuracies are of the first test images. A line is printed as soon
as its training has ended.
"""

from __future__ import annotations

import argparse

import numpy as np

from fastcnn import AdversarialTraining, applications, data, explain

EPSILONS = (2, 4, 8, 16)
"""How far images are moved, in 255ths of their range."""
TEST_IMAGES = 2000
COLUMNS = ["trained on", "clean", "noise 8"]
COLUMNS += [f"{kind} {epsilon}" for kind in ("FGSM", "PGD") for epsilon in EPSILONS]
COLUMNS += ["seconds an epoch"]


def trainings(epsilon: float) -> dict[str, AdversarialTraining | None]:
    """The ways to train, by what the table calls them."""
    return {
        "images as they are": None,
        "half attacked": AdversarialTraining(epsilon, mix=0.5),
        "all attacked": AdversarialTraining(epsilon, mix=1.0),
    }


def row(args: argparse.Namespace, adversarial: AdversarialTraining | None) -> list[str]:
    """The numbers of a training."""
    (x, y), (x_test, y_test) = data.load(args.data)
    model = applications.get(args.network)(input_shape=x.shape[1:], rescale=True)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(x, y, epochs=args.epochs, adversarial=adversarial, verbose=2)
    epsilons = [0, *(epsilon / 255 for epsilon in EPSILONS)]
    held = x_test[:TEST_IMAGES], y_test[:TEST_IMAGES]
    noise, fgsm, pgd = explain.robustness(model, *held, epsilons).array
    numbers = [noise[0], noise[1 + EPSILONS.index(8)], *fgsm[1:], *pgd[1:]]
    return [*(f"{100 * number:.1f}" for number in numbers), f"{np.min(history.seconds):.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("network")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--epsilon", type=int, default=8, help="of the training, in 255ths")
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for name, adversarial in trainings(args.epsilon / 255).items():
        print(f"| {name} | {' | '.join(row(args, adversarial))} |", flush=True)


if __name__ == "__main__":
    main()
