"""ImageNet's classes, and the weights that Keras publishes of networks trained on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastcnn.utils import arguments

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
CLASSES = 1000


@dataclass(frozen=True)
class PublishedFile:
    """A file on the web.

    Args:
        address: Its URL.
        md5: What its publisher says of its content; None where nothing is said.
    """

    address: str
    md5: str | None = None

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.address.rpartition("/")[2]


@dataclass(frozen=True)
class PublishedWeights:
    """A network's weights.

    Args:
        whole: Those of the network.
        features: Those without the layers that tell classes apart.
        mode: How the images were scaled that it was trained on, as `ImageNetScaling` has it.
        version: The `version` of the network whose they are; None where there is one alone.
    """

    whole: PublishedFile
    features: PublishedFile
    mode: str
    version: str | None = None


def _weights(
    base: str, ends: tuple[str, str], md5s: tuple[str, str] | None, mode: str, version: str | None
) -> PublishedWeights:
    whole, features = (
        PublishedFile(base + end, None if md5s is None else md5s[number])
        for number, end in enumerate(ends)
    )
    return PublishedWeights(whole, features, mode, version)


def _kernels(
    path: str, md5s: tuple[str, str], mode: str, version: str | None = None
) -> PublishedWeights:
    """Return the weights whose files are named as most are."""
    base = f"{KERAS}/{path}_weights_tf_dim_ordering_tf_kernels"
    return _weights(base, (".h5", "_notop.h5"), md5s, mode, version)


WEIGHTS = {
    "vgg16": _kernels(
        "vgg16/vgg16",
        ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
        "caffe",
    ),
    "vgg19": _kernels(
        "vgg19/vgg19",
        ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
        "caffe",
    ),
    "resnet50": _kernels(
        "resnet/resnet50",
        ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
        "caffe",
        "keras",
    ),
    "resnet101": _kernels(
        "resnet/resnet101",
        ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
        "caffe",
        "keras",
    ),
    "resnet152": _kernels(
        "resnet/resnet152",
        ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
        "caffe",
        "keras",
    ),
    "inception_v3": _kernels(
        "inception_v3/inception_v3",
        ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
        "tf",
        "keras",
    ),
    "xception": _kernels(
        "xception/xception",
        ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
        "tf",
    ),
    "densenet121": _kernels(
        "densenet/densenet121",
        ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
        "torch",
    ),
    "mobilenet": _weights(
        f"{KERAS}/mobilenet/mobilenet_1_0_224_tf", (".h5", "_no_top.h5"), None, "tf", None
    ),
    "mobilenet_v2": _weights(
        f"{KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224",
        (".h5", "_no_top.h5"),
        None,
        "tf",
        "keras",
    ),
    "efficientnet_b0": _weights(
        "https://storage.googleapis.com/keras-applications/efficientnetb0",
        (".h5", "_notop.h5"),
        ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
        "torch",
        "keras",
    ),
}
"""By the names of the networks. Keras says nothing of what the MobileNets' files hold."""

CLASS_INDEX = PublishedFile(
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    "c2c37ea517e94d9795004a39431a14cb",
)


def decode_predictions(scores: object, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Return the classes with the highest scores, by their names.

    The names are fetched where they are not on this computer yet.

    Args:
        scores: What a network of ImageNet's 1,000 classes predicts.
        top: How many classes of each image, from 1 to 1,000.

    Returns:
        For each image the classes from the highest score on: WordNet's number of the class, its
        name, and the score.

    Raises:
        ValueError: The scores have another shape, `top` is out of its range, or what was fetched is
            not the published file.
        TypeError: `top` is no whole number.
        OSError: The names cannot be fetched; the message says which file to put where.

    Shape:
        scores [n, 1000].
    """
    array = np.asarray(scores)
    if array.ndim != 2 or array.shape[1] != CLASSES or array.dtype.kind not in "fiu":
        raise ValueError(
            "decode_predictions: scores must be numbers of shape (images, 1000), as a network of "
            f"ImageNet's classes predicts them. Received {array.dtype} of shape {array.shape}."
        )
    count = arguments.whole("decode_predictions", "top", top, least=1, most=CLASSES)
    classes = _class_index(fetch(CLASS_INDEX, "decode_predictions: the names of the classes"))
    highest = np.argsort(-array, axis=1, kind="stable")[:, :count]
    return [
        [(*classes[number], float(row[number])) for number in numbers.tolist()]
        for row, numbers in zip(array, highest, strict=True)
    ]


def _class_index(path: Path) -> list[tuple[str, str]]:
    """Return WordNet's number and the name of each class."""
    index = json.loads(path.read_text(encoding="utf-8"))
    return [(str(index[str(n)][0]), str(index[str(n)][1])) for n in range(CLASSES)]


def fetch(file: PublishedFile, what: str) -> Path:
    """Return a published file on this computer, fetched where it is not there yet.

    Args:
        file: Which.
        what: What it is, for errors.

    Raises:
        OSError: It cannot be fetched; the message says what to put where.
        ValueError: What was fetched is not what was published.
    """
    import pooch
    from requests import RequestException

    folder = _folder()
    if folder is None:
        raise OSError(f"{what}: there is no folder for it. Set FASTCNN_DATA to one.")
    path = local_copy(file)
    if path is not None:
        return path
    known_hash = None if file.md5 is None else f"md5:{file.md5}"
    pooch.get_logger().setLevel("WARNING")
    where = f"Put the file {file.name} from {file.address} at {folder / file.name}"
    try:
        return Path(pooch.retrieve(file.address, known_hash, fname=file.name, path=folder))
    except RequestException as error:
        raise OSError(f"{what} cannot be fetched ({type(error).__name__}). {where}.") from None
    except ValueError:
        raise ValueError(
            f"{what}: {file.address} sent another file than was published, whose MD5 is "
            f"{file.md5}. {where}."
        ) from None


def local_copy(file: PublishedFile) -> Path | None:
    """Return where a published file lies on this computer already; None where it does not.

    Args:
        file: Which.
    """
    import pooch

    folders = (_folder(), Path("~/.keras/models").expanduser())  # ours, and Keras's
    for path in (folder / file.name for folder in folders if folder is not None):
        if path.is_file() and file.md5 in (None, pooch.file_hash(str(path), alg="md5")):
            return path
    return None


def _folder() -> Path | None:
    """The folder for published files; None where the user has none."""
    from fastcnn.data.datasets.paths import data_directory  # and with it what reads data sets

    folder = data_directory()
    return None if folder is None else folder / "keras-applications"
