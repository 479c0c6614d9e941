"""Images in: data sets by name, the bundled sample, and batches for training."""

from fastcnn.data.batches import Batches, Dataset
from fastcnn.data.sets import class_names, load, sample

__all__ = ["Batches", "Dataset", "class_names", "load", "sample"]
