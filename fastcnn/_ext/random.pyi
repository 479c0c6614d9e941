import numpy as np
import numpy.typing as npt

def hashed(number: int) -> int: ...
def uniforms(
    keys: npt.NDArray[np.uint64], streams: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]: ...
