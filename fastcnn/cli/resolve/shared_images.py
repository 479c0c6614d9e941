"""What is told of pictures that are in two sets, such as trained and measured on."""

from __future__ import annotations

import os

from fastcnn.data.folder.duplicates import FileSet, class_of, shared_files
from fastcnn.utils.naming import printable


def sentence(first: FileSet, second: FileSet, uses: str) -> str | None:
    """A sentence on the files of `second` that `first` has too; None where there are none.

    uses: what the two are for, as in "images to validate on are trained on".
    """
    pairs = shared_files(first, second)
    if not pairs:
        return None
    copied, copy = first.files[pairs[0][0]], second.files[pairs[0][1]]
    differing = sum(class_of(first.files[i]) != class_of(second.files[j]) for i, j in pairs)
    labels = f" Of {differing:,} the class is another one there." if differing else ""
    return (
        f"{len(pairs):,} of the {len(second.files):,} {uses} too, such as "
        f"'{printable(os.path.join(second.root, copy))}', which is "
        f"'{printable(os.path.join(first.root, copied))}': what is measured is better than it "
        f"should be.{labels}"
    )
