"""What `torch.save` wrote, read without PyTorch: the archives of today, and the older files.

Both hold a pickle whose tensors name their storages, and the storages' numbers beside it.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from fastcnn.hdf5.errors import FormatError
from fastcnn.interop.pytorch import pickled
from fastcnn.utils import input_file

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of an older file."""
PROTOCOL = 1001
"""The second one; then what machine wrote it, what was saved, and the names of the storages."""
COUNT = np.dtype("<i8")
"""Before each storage of an older file: how many numbers it has."""
BFLOAT16 = "torch.BFloat16Storage"
DTYPES = {
    f"torch.{name}Storage": np.dtype(dtype)
    for name, dtype in (
        *(("Float", "<f4"), ("Double", "<f8"), ("Half", "<f2"), ("BFloat16", "<u2")),
        *(("Long", "<i8"), ("Int", "<i4"), ("Short", "<i2"), ("Char", "i1")),
        *(("Byte", "u1"), ("Bool", "?")),
    )
}
"""The numbers of a storage, by its class."""


MOST_AXES = 8
LONGEST_AXIS = 1 << 31
"""Of a tensor; an array of all these axes, one of them empty, can be made."""
DAMAGE = (zipfile.BadZipFile, EOFError, KeyError, OSError, RuntimeError, ValueError)
"""What zipfile raises of a damaged archive."""


class Storage:
    """Numbers in a row, read where a tensor is looked at.

    Args:
        path: The file.
        kind: Its class, one of DTYPES.
        count: How many numbers.
        read: Gives its bytes.
    """

    def __init__(self, path: str, kind: str, count: int, read: Callable[[], bytes]) -> None:
        self.path = path
        self.dtype = DTYPES[kind]
        self.count = count
        self._widened = kind == BFLOAT16
        self._read = read

    def numbers(self) -> NDArray[Any]:
        """Return the numbers; FormatError where there are fewer or more of them."""
        content = self._read()
        if len(content) != self.count * self.dtype.itemsize:
            raise FormatError(
                f"'{self.path}' is damaged: {len(content)} bytes where {self.count} numbers "
                "should be."
            )
        array = np.frombuffer(content, self.dtype)
        return (array.astype(np.uint32) << 16).view(np.float32) if self._widened else array


class Tensor:
    """A view of a storage; `np.asarray` gives its numbers."""

    def __init__(self, storage: Storage, offset: int, shape: Any, strides: Any) -> None:
        if any(type(number) is not int for number in (offset, *shape, *strides)):
            raise ValueError("a tensor's offset, shape and strides are no whole numbers")
        last = offset + sum((size - 1) * s for size, s in zip(shape, strides, strict=True))
        if min([offset, *shape, *strides]) < 0 or (0 not in shape and last >= storage.count):
            raise ValueError(f"a tensor of shape {shape} is not within its storage")
        if np.prod(shape, dtype=object) > storage.count:
            raise ValueError(f"a tensor of shape {shape} has more numbers than its storage")
        if len(shape) > MOST_AXES or max(shape, default=0) > LONGEST_AXIS:
            raise ValueError("a tensor has more axes or longer ones than an array can have")
        self.storage, self.offset = storage, offset
        self.shape = tuple(shape)
        # Those of an axis that has no second place say nothing, and may be anything.
        pairs = zip(shape, strides, strict=True)
        self.strides = tuple(stride if size > 1 else 0 for size, stride in pairs)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Any:
        numbers = self.storage.numbers()[self.offset :]
        if 0 in self.shape:
            return np.zeros(self.shape, dtype or numbers.dtype)
        steps = [stride * numbers.itemsize for stride in self.strides]
        array = np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False)
        return array.astype(dtype or array.dtype)


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_: object) -> Tensor:
    return Tensor(storage, offset, shape, strides)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": pickled.dict_of,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
}
"""All that a file of weights calls."""

_OTHER_ORDER = "was written with the bytes of numbers in another order"
_OF_CLASS = (
    "holds an object of the class '{}', which is Python code, not weights alone. Where PyTorch is, "
    "save the network's state_dict()"
)


def read(path: str, zipped: bool) -> Any:
    """Return what a file holds: dicts, lists, numbers, texts and tensors.

    Args:
        path: The file.
        zipped: Whether it is an archive.

    Raises:
        FormatError: It is damaged, or of a kind that is not known.
    """
    try:
        saved = _of_archive(path) if zipped else _of_older(path)
        if isinstance(saved, pickled.Unknown):
            raise FormatError(_OF_CLASS.format(saved.maker))
        return saved
    except FormatError as error:
        raise FormatError(f"'{path}' {error}.") from None
    except (MemoryError, OSError):  # no damage of the file
        raise
    except Exception as error:  # damage shows as anything from a KeyError to a TypeError
        raise FormatError(
            f"'{path}' is damaged, or torch.save did not write it ({type(error).__name__}: {error})"
        ) from None


def _of_archive(path: str) -> Any:
    with input_file.opened(path) as file:
        parts = _parts(file)
    pickle = next((name for name in parts if name.endswith("data.pkl")), None)
    if pickle is None:
        raise FormatError("is an archive, and none that torch.save wrote: it has no data.pkl")
    folder = pickle.removesuffix("data.pkl")
    if parts.get(f"{folder}byteorder", b"little") != b"little":
        raise FormatError(_OTHER_ORDER)

    def storage(described: Any) -> Storage:
        kind, key, count = _of_id(described)
        content = parts[f"{folder}data/{key}"]
        return Storage(path, kind, count, lambda: content)

    return pickled.read(io.BytesIO(parts[pickle]), FUNCTIONS, storage)


def _parts(file: BinaryIO) -> dict[str, bytes]:
    """The content of an archive's parts by their names."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED:
                    name = entry.filename
                    raise FormatError(f"has a compressed part, '{name}': torch has none")
            if sum(entry.file_size for entry in entries) > file.seek(0, io.SEEK_END):
                raise FormatError("is a damaged archive: its parts are larger than it is")
            return {entry.filename: archive.read(entry) for entry in entries}
    except FormatError:
        raise
    except DAMAGE as error:
        raise FormatError(f"is a damaged archive: {error}") from None


def _of_older(path: str) -> Any:
    with input_file.opened(path) as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    begins: dict[str, int] = {}
    storages: dict[str, Storage] = {}

    def storage(described: Any) -> Storage:
        kind, key, count = _of_id(described)
        if key not in storages:
            size = count * DTYPES[kind].itemsize
            storages[key] = Storage(
                path, kind, count, lambda: content[begins[key] : begins[key] + size]
            )
        return storages[key]

    magic, protocol, machine, saved, keys = (
        pickled.read(content, FUNCTIONS, storage) for _ in range(5)
    )
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise FormatError("is a pickle, and none that torch.save wrote")
    if not machine["little_endian"]:
        raise FormatError(_OTHER_ORDER)
    for key in keys:
        count = int(np.frombuffer(content.read(COUNT.itemsize), COUNT)[0])
        if count != storages[key].count:
            raise ValueError("a storage has another size than its tensors say")
        begins[key] = content.tell()
        content.seek(count * storages[key].dtype.itemsize, io.SEEK_CUR)
    if begins.keys() != storages.keys():
        raise ValueError("it lacks storages that its tensors name")
    return saved


def _of_id(described: Any) -> tuple[str, str, int]:
    """A storage's class, name and count; FormatError for what is no plain storage."""
    what, kind, *rest = described
    if what == "module":
        raise FormatError(_OF_CLASS.format(kind.name))
    key, _, count, *view = rest
    if what != "storage" or any(view) or kind.name not in DTYPES:
        raise FormatError(f"holds numbers as '{kind.name}' has them, which fastcnn has not")
    if count < 0:
        raise ValueError("a storage has fewer than no numbers")
    return kind.name, str(key), count
