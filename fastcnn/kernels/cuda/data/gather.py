"""Batches of images gathered from a data set that lies on the device."""

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import per_image
from fastcnn.kernels.cuda.runtime.kernel import Bytes, Floats, Int, Ints, Kernel, kernel


def _gathering(images_type: type, name: str) -> Kernel:
    def gather(
        count: Int,
        images: images_type,  # type: ignore[valid-type]
        indices: Ints,
        x: Floats,
        size: Int,
    ):
        """x[n, size] = images[indices[n], size], as float32."""
        i, n = cuda.grid(2)
        while i < size and n < count:
            x[n * size + i] = images[int(indices[n]) * size + i]  # type: ignore[index]
            n += cuda.gridDim.y

    gather.__name__ = gather.__qualname__ = name
    return kernel(per_image("size"))(gather)


# By the data set's dtype.
gather_images = {
    "uint8": _gathering(Bytes, "gather_bytes"),
    "float32": _gathering(Floats, "gather_floats"),
}
