"""Images in: folders, packed files, data sets by name, the bundled sample, and batches."""

from fastcnn.data.augmentation import AUGMENTATIONS, Augment
from fastcnn.data.batches import Batches
from fastcnn.data.cifar import read_cifar10, read_cifar100
from fastcnn.data.colour import (
    PCAColor,
    RandomBrightness,
    RandomContrast,
    RandomHue,
    RandomSaturation,
)
from fastcnn.data.dataset import Dataset
from fastcnn.data.decoding import Decoder
from fastcnn.data.effects import GaussianNoise, RandomErasing, RandomGaussianBlur
from fastcnn.data.folder import ImageFolder, from_folder
from fastcnn.data.geometry import (
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from fastcnn.data.hdf5 import read_hdf5
from fastcnn.data.idx import read_idx
from fastcnn.data.mixing import CutMix, MixUp
from fastcnn.data.npz import read_npz
from fastcnn.data.packed import PackedImages, from_packed
from fastcnn.data.packing import pack
from fastcnn.data.preprocessing import CenterCrop
from fastcnn.data.recognition import Unreadable
from fastcnn.data.sets import class_names, load, sample
from fastcnn.data.whitening import PerImageStandardization, ZCAWhitening

__all__ = [
    "AUGMENTATIONS",
    "Augment",
    "Batches",
    "CenterCrop",
    "CutMix",
    "Dataset",
    "Decoder",
    "GaussianNoise",
    "ImageFolder",
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
    "Unreadable",
    "ZCAWhitening",
    "class_names",
    "from_folder",
    "from_packed",
    "load",
    "pack",
    "read_cifar10",
    "read_cifar100",
    "read_hdf5",
    "read_idx",
    "read_npz",
    "sample",
]
