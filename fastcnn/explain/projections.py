"""Many numbers an image as two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30.0
COMPONENTS = 50
"""Principal components that t-SNE is given at most."""
START = 1e-4
"""The standard deviation of the places where t-SNE begins."""


def principal_components(
    features: NDArray[Any], count: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points on the axes along which they vary most, and which share of the variance each
    of these axes has.

    Args:
        features: The points.
        count: How many axes.

    Returns:
        The points, in which the largest coordinate of each axis is positive, and the shares.

    Shape:
        features [n, d] -> float64 [n, count], float64 [count]; 0 where d or n is less than count.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(axes).argmax(axis=1)
    signs = np.where(np.take_along_axis(axes, largest[:, None], axis=1)[:, 0] < 0, -1.0, 1.0)
    points, shares = np.zeros((len(features), count)), np.zeros(count)
    kept = min(count, len(sizes))
    points[:, :kept] = (left * sizes * signs)[:, :kept]
    shares[:kept] = (sizes**2 / max(float((sizes**2).sum()), 1e-300))[:kept]
    return points, shares


def neighbour_embedding(features: NDArray[Any], perplexity: float, seed: int) -> NDArray[Any]:
    """Return points in the plane in which those are near each other that are so in many dimensions
    (t-SNE).

    Args:
        features: The points, at least four.
        perplexity: How many neighbours count; less where there are few points.
        seed: Of what is random.

    Returns:
        The points; all 0 where the features do not differ.

    Raises:
        ImportError: scikit-learn is not installed.

    Shape:
        features [n, d] -> [n, 2].

    References:
        van der Maaten and Hinton, 2008: Visualizing data using t-SNE.
    """
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError as error:
        raise ImportError(
            "t-SNE needs the package scikit-learn: pip install 'fastcnn[sklearn]' installs it. PCA "
            "does without: projection='pca'."
        ) from error
    points, _ = principal_components(features, min(COMPONENTS, max(features.shape[1], 2)))
    spread = float(points[:, 0].std())
    if spread <= np.finfo(np.float32).eps * float(np.abs(features).max()):
        return np.zeros((len(points), 2))
    # Neighbours are the same at any scale. At this one no squared distance overflows, and the
    # start is finite: TSNE ends the whole process where it is not.
    points /= spread
    most = min(perplexity, (len(points) - 1) / 3)
    # Its threads wait for each other in busy loops: beside other programs several take far longer
    # than one.
    with threadpool_limits(1):
        tsne = TSNE(2, perplexity=most, init=START * points[:, :2], random_state=seed)
        embedded: NDArray[Any] = tsne.fit_transform(points)
    return embedded
