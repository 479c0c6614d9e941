"""Images in: folders, packed files, data sets by name, the bundled sample, and batches."""

from fastcnn.data.batches import Batches, Dataset
from fastcnn.data.folder import ImageFolder, from_folder
from fastcnn.data.hdf5 import read_hdf5
from fastcnn.data.mixing import CutMix, MixUp
from fastcnn.data.npz import read_npz
from fastcnn.data.packed import PackedImages, from_packed, pack
from fastcnn.data.preprocessing import CenterCrop
from fastcnn.data.recognition import Unreadable
from fastcnn.data.sets import class_names, load, sample

__all__ = [
    "Batches",
    "CenterCrop",
    "CutMix",
    "Dataset",
    "ImageFolder",
    "MixUp",
    "PackedImages",
    "Unreadable",
    "class_names",
    "from_folder",
    "from_packed",
    "load",
    "pack",
    "read_hdf5",
    "read_npz",
    "sample",
]
