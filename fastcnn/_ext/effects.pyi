import numpy as np
import numpy.typing as npt

LEVELS: int

def add_noise(
    images: npt.NDArray[np.float32],
    key: int,
    streams: npt.NDArray[np.int64],
    stddev: npt.NDArray[np.float32],
    levels: npt.NDArray[np.float32],
    limits: tuple[float, float],
) -> None: ...
def erase(
    images: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.int64],
    key: int,
    streams: npt.NDArray[np.int64],
    fill_value: npt.NDArray[np.float32] | None,
    limits: tuple[float, float],
) -> None: ...
def blur(images: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> None: ...
