"""The compiled extensions; everything else about the package is in pyproject.toml.

``FASTCNN_EXT_DEBUG=1`` compiles them with bounds checks, quickly and without optimizing (add
``--force`` to rebuild in place).
"""

import os
import sys
import threading

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

EXTENSIONS = ["augment", "batch", "effects", "mixing", "product", "random"]
DEBUG = os.environ.get("FASTCNN_EXT_DEBUG", "0") not in ("", "0")
# The same bits on every processor: no product is rounded together with a sum.
FLAGS = [] if os.name == "nt" else ["-O0" if DEBUG else "-O3", "-ffp-contract=off"]
LINK_FLAGS = []
if os.name != "nt" and not DEBUG:
    FLAGS.append("-g0")  # Python passes on its own -g, which makes extensions five times as large
    if sys.platform != "darwin":  # whose linker calls -s obsolete
        LINK_FLAGS.append("-Wl,-s")


class BuildExtensions(build_ext):
    """Has Cython translate what is built. The list of sources that an sdist and each of pip's
    questions take needs no translation."""

    translating = threading.Lock()

    def finalize_options(self) -> None:
        super().finalize_options()
        # As many C compilers as there are cores, which takes two thirds of the time on two.
        if self.parallel is None and os.name == "posix":
            self.parallel = os.cpu_count()

    def build_extension(self, ext: Extension) -> None:
        with self.translating:
            ext.sources = self.translated(ext)
        super().build_extension(ext)

    def translated(self, ext: Extension) -> list[str]:
        """The extension's sources in C."""
        (extension,) = cythonize(
            [ext],
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
        return extension.sources


setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=[
        Extension(
            f"fastcnn._ext.{name}",
            [f"fastcnn/_ext/{name}.pyx"],
            extra_compile_args=FLAGS,
            extra_link_args=LINK_FLAGS,
        )
        for name in EXTENSIONS
    ],
)
