"""Pictures to be predicted, files or Pillow's, as a Dataset without labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from fastcnn.utils import system
from fastcnn.utils.naming import shown

if TYPE_CHECKING:
    from PIL.Image import Image

    from fastcnn.data.images.decoder import Decoder, Pixels

PathLike: TypeAlias = str | os.PathLike[str]
Picture: TypeAlias = "PathLike | Image"


def is_picture(value: object) -> TypeGuard[Picture]:
    """Say whether a value is a path, or a picture of Pillow's.

    Args:
        value: Anything.
    """
    return isinstance(value, str | os.PathLike) or _is_of_pillow(value)


def pictures_of(value: object) -> list[Picture] | None:
    """Return the pictures that are meant by a path, a picture of Pillow's, or a list of such.

    Args:
        value: Anything; an array or a column of pandas that holds no numbers is a list.

    Returns:
        The list; None for anything else.
    """
    if _is_column(value):
        value = value.tolist()
    if isinstance(value, np.ndarray):
        return None
    if isinstance(value, list | tuple):
        return list(value) if value and all(map(is_picture, value)) else None
    return [value] if is_picture(value) else None


def picture_files(path: PathLike) -> list[str]:
    """Return the files that a path means, in the order in which `predict` takes them.

    Args:
        path: A file, or a folder of pictures, whose files and those of the folders in it are
            meant, but for hidden ones.

    Returns:
        The file, or those of the folder, sorted.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It is a folder without a file.
    """
    text = os.fspath(path)
    if not os.path.exists(text):
        raise FileNotFoundError(f"There is no file '{shown(text)}'.")
    if not os.path.isdir(text):
        return [text]
    from fastcnn.data.folder import file_list  # with all that reads folders

    names = file_list.files_under(text)
    if not names:
        raise ValueError(f"The folder '{shown(text)}' holds no file.")
    return [os.path.join(text, name) for name in names]


class Pictures:
    """Pictures as a Dataset, decoded when a batch is due.

    Args:
        pictures: Paths, and pictures of Pillow's; a folder stands for the files in it.
        decoder: What makes images of them.

    Attributes:
        items: The files and pictures, one an image.

    Raises:
        FileNotFoundError: There is no file of a path.
        ValueError: A folder is empty.
    """

    labels = None
    dtype = np.uint8
    deterministic = True

    def __init__(self, pictures: Sequence[Picture], decoder: Decoder) -> None:
        self.items: list[str | Image] = []
        for picture in pictures:
            if isinstance(picture, str | os.PathLike):
                self.items += picture_files(picture)
            else:
                self.items.append(picture)
        self.decoder = decoder
        self._workers = system.cores()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The (height, width, channels) of one image."""
        return self.decoder.shape

    def __len__(self) -> int:
        return len(self.items)

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> None:
        """Write images into an array, values 0 to 255.

        Args:
            indices: Numbers of the images, int64 [n].
            out: uint8 or float32 [n, height, width, channels].

        Raises:
            Unreadable: A picture cannot be read; the message names it.
        """
        numbers = [int(index) for index in indices]
        if len(numbers) == 1:
            out[0] = self._image(numbers[0])
            return
        from concurrent.futures import ThreadPoolExecutor  # and with it logging

        # Pillow releases the GIL while it decodes.
        with ThreadPoolExecutor(min(self._workers, len(numbers))) as threads:
            for row, image in enumerate(threads.map(self._image, numbers)):
                out[row] = image

    def _image(self, number: int) -> Pixels:
        item = self.items[number]
        if isinstance(item, str):
            return self.decoder(item)
        name = getattr(item, "filename", "") or f"picture {number} of {len(self)}"
        return self.decoder.decode_picture(item, os.fsdecode(name))


def _is_column(value: object) -> TypeGuard[Any]:
    """Whether a value is NumPy's or pandas' row of texts or objects."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or getattr(value, "ndim", 0) != 1 or not hasattr(value, "tolist"):
        return False
    return not isinstance(dtype, np.dtype) or dtype.kind in "OTU"  # pandas has kinds of its own


def _is_of_pillow(value: object) -> TypeGuard[Image]:
    """Whether a value is a picture of Pillow's, which is not imported for the question."""
    if not type(value).__module__.startswith("PIL."):
        return False
    from PIL.Image import Image

    return isinstance(value, Image)
