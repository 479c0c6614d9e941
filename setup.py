"""The compiled extension; everything else about the package is in pyproject.toml.

``FASTCNN_EXT_DEBUG=1`` compiles it with bounds checks (add ``--force`` to rebuild in place).
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("FASTCNN_EXT_DEBUG", "0") not in ("", "0")

setup(
    ext_modules=cythonize(
        [
            Extension(
                "fastcnn._ext.batch",
                ["fastcnn/_ext/batch.pyx"],
                extra_compile_args=[] if os.name == "nt" else ["-O3"],
            )
        ],
        build_dir="build/cython",
        force=True,  # the same source gives other C code in a debug build
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": DEBUG,
            "freethreading_compatible": True,
        },
    )
)
