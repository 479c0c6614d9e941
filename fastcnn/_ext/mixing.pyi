import numpy as np
import numpy.typing as npt

def blend(
    images: npt.NDArray[np.float32],
    partners: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float32],
) -> None: ...
def paste(
    images: npt.NDArray[np.float32],
    partners: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.int64],
) -> None: ...
