"""Images in: folders, packed files, data sets by name, the bundled sample, and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcnn.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastcnn.data.augment.augment import Augment
    from fastcnn.data.augment.color import (
        PCAColor,
        RandomBrightness,
        RandomContrast,
        RandomHue,
        RandomSaturation,
    )
    from fastcnn.data.augment.custom import CustomAugmentation
    from fastcnn.data.augment.effects import GaussianNoise, RandomErasing, RandomGaussianBlur
    from fastcnn.data.augment.geometry import (
        RandomCrop,
        RandomFlip,
        RandomRotation,
        RandomShear,
        RandomTranslation,
        RandomZoom,
    )
    from fastcnn.data.augment.mixing import CutMix, MixUp
    from fastcnn.data.augment.preprocessing import CenterCrop, ImageNetScaling
    from fastcnn.data.augment.registry import AUGMENTATIONS
    from fastcnn.data.augment.whitening import PerImageStandardization, ZCAWhitening
    from fastcnn.data.dataset import Dataset
    from fastcnn.data.datasets import class_names, load, sample
    from fastcnn.data.datasets.cifar import read_cifar10, read_cifar100
    from fastcnn.data.datasets.idx import read_idx
    from fastcnn.data.files.npz import read_npz
    from fastcnn.data.files.pack import pack
    from fastcnn.data.files.packed import PackedImages, from_packed
    from fastcnn.data.folder import ImageFolder, from_folder
    from fastcnn.data.images.decoder import Decoder
    from fastcnn.data.images.file_format import Unreadable
    from fastcnn.data.images.pictures import picture_files
    from fastcnn.data.pipeline.batches import Batches
    from fastcnn.data.pipeline.transform import Transform
    from fastcnn.hdf5.arrays import read_hdf5

__all__ = [
    "AUGMENTATIONS",
    "Augment",
    "Batches",
    "CenterCrop",
    "CustomAugmentation",
    "CutMix",
    "Dataset",
    "Decoder",
    "GaussianNoise",
    "ImageFolder",
    "ImageNetScaling",
    "MixUp",
    "PCAColor",
    "PackedImages",
    "PerImageStandardization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomHue",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Transform",
    "Unreadable",
    "ZCAWhitening",
    "class_names",
    "from_folder",
    "from_packed",
    "load",
    "pack",
    "picture_files",
    "read_cifar10",
    "read_cifar100",
    "read_hdf5",
    "read_idx",
    "read_npz",
    "sample",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "fastcnn.data.augment.augment": "Augment",
        "fastcnn.data.augment.color": (
            "PCAColor RandomBrightness RandomContrast RandomHue RandomSaturation"
        ),
        "fastcnn.data.augment.custom": "CustomAugmentation",
        "fastcnn.data.augment.effects": "GaussianNoise RandomErasing RandomGaussianBlur",
        "fastcnn.data.augment.geometry": (
            "RandomCrop RandomFlip RandomRotation RandomShear RandomTranslation RandomZoom"
        ),
        "fastcnn.data.augment.mixing": "CutMix MixUp",
        "fastcnn.data.augment.preprocessing": "CenterCrop ImageNetScaling",
        "fastcnn.data.augment.registry": "AUGMENTATIONS",
        "fastcnn.data.augment.whitening": "PerImageStandardization ZCAWhitening",
        "fastcnn.data.dataset": "Dataset",
        "fastcnn.data.datasets": "class_names load sample",
        "fastcnn.data.datasets.cifar": "read_cifar10 read_cifar100",
        "fastcnn.data.datasets.idx": "read_idx",
        "fastcnn.data.files.npz": "read_npz",
        "fastcnn.data.files.pack": "pack",
        "fastcnn.data.files.packed": "PackedImages from_packed",
        "fastcnn.data.folder": "ImageFolder from_folder",
        "fastcnn.data.images.decoder": "Decoder",
        "fastcnn.data.images.file_format": "Unreadable",
        "fastcnn.data.images.pictures": "picture_files",
        "fastcnn.data.pipeline.batches": "Batches",
        "fastcnn.data.pipeline.transform": "Transform",
        "fastcnn.hdf5.arrays": "read_hdf5",
    },
)
