"""Networks as scikit-learn's estimators, for `Pipeline`, `GridSearchCV` and the like."""

try:
    from sklearn.utils.validation import validate_data as _validate_data  # since 1.6
except ImportError as error:
    raise ImportError(
        "fastcnn.sklearn needs the package scikit-learn, 1.6 or newer: "
        "pip install 'fastcnn[sklearn]' installs it."
    ) from error

from fastcnn.sklearn.classifier import CNNClassifier
from fastcnn.sklearn.regressor import CNNRegressor

del _validate_data

__all__ = ["CNNClassifier", "CNNRegressor"]
