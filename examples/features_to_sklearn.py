"""From a folder of photographs to a table: a trained network's features in scikit-learn.

python examples/features_to_sklearn.py [FOLDER] [--model base.h5] [--layer features]
    [--out runs/features.png]

Needs scikit-learn: pip install 'fastcnn[sklearn]'. Each picture becomes the numbers that a layer
makes of it; on them learn a linear SVM and k nearest neighbours, and beside them on ten principal
components and on bare pixels. Accuracies are of ten folds, with standard deviations.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from bundled_photos import trained_base, write_folder
from matplotlib import pyplot
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import fastcnn
from fastcnn import data

CLASSIFIERS = {
    "linear SVM": LinearSVC(C=0.01),
    "5 nearest neighbours": KNeighborsClassifier(),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=Path, nargs="?")
    options.add_argument("--model", type=Path, help="default: trained on the bundled images")
    options.add_argument("--layer", default="features")
    options.add_argument("--out", type=Path, default=Path("runs/features.png"))
    args = options.parse_args()
    model = fastcnn.load(args.model) if args.model else trained_base()
    height, width, channels = model.input_shape
    mode = {1: "grayscale", 3: "rgb"}[channels]
    with tempfile.TemporaryDirectory() as folder:
        if args.folder is None:
            write_folder(Path(folder))
        path, size = args.folder or folder, (height, width)
        images = data.from_folder(path, size, color_mode=mode, on_error="skip")
        features = model.features(images, args.layer, pooling="flatten")
    print(images.report)
    pixels = images.x.reshape(len(images), -1) / np.float32(255)
    inputs = {"features": (features, []), "components": (features, [PCA(10)])}
    inputs["pixels"] = pixels, []
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    print(f"{'accuracy, %':24}" + "".join(f"{name:>16}" for name in inputs))
    for name, classifier in CLASSIFIERS.items():
        line = f"{name:24}"
        for numbers, steps in inputs.values():
            pipeline = make_pipeline(StandardScaler(), *steps, classifier)
            scores = 100 * cross_val_score(pipeline, numbers, images.labels, cv=folds)
            line += f"{scores.mean():9.1f} ± {scores.std():4.1f}"
        print(line)
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    pairs = {"features": features, "pixels": pixels}
    for axes, (title, numbers) in zip(panels, pairs.items(), strict=True):
        plane = PCA(2).fit_transform(StandardScaler().fit_transform(numbers))
        for label, class_name in enumerate(images.class_names):
            axes.scatter(*plane[images.labels == label].T, s=6, label=class_name)
        axes.set(title=f"two principal components of the {title}", xticks=[], yticks=[])
    panels[0].legend()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)
    print(args.out)


if __name__ == "__main__":
    main()
