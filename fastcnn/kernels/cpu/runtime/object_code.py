"""Machine code in files of object code, which LLVM links into the process.

Neither Numba nor anything that it compiles with is needed for what is on disk already, and nothing
is unpickled: a file is the code, and the names of its functions.
"""

from __future__ import annotations

import functools
import hashlib
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from fastcnn.kernels import code_cache, code_file, lazy_numba
from fastcnn.kernels.code_file import CodeFile
from fastcnn.kernels.compile_lock import compile_lock
from fastcnn.kernels.cpu.runtime.code import Code
from fastcnn.kernels.cpu.runtime.compile_cache import cache_directory, source_stamp
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.utils.numba_settings import setting


class ObjectCode(Code):
    """The functions in one file of object code.

    Args:
        name: What the code is called.
        module: The name of the module that makes it.
        facts: What it depends on besides the sources of the kernels and the CPU.
    """

    def __init__(self, name: str, module: str, *facts: str):
        self.name, self.module = name, module
        self._facts = facts
        self._loaded = False

    @property
    def loaded(self) -> bool:
        return self._loaded

    def load(self) -> bool:
        with compile_lock:
            file = None if self.loaded else self._read()
            if file is not None:
                self._link(file)
            return self.loaded

    def compile(self) -> None:
        with compile_lock:
            if not self.load():
                file = self._compiled()
                self._write(file)
                self._link(file)

    @abstractmethod
    def _compiled(self) -> CodeFile:
        """Return the object code, and what it takes to find its functions."""

    @abstractmethod
    def _keep_addresses(self, address: Callable[[str], int], more: dict[str, Any]) -> None:
        """Keep where the functions are.

        Args:
            address: Tells it of one by its name.
            more: What `_compiled` returned besides the code.
        """

    def _link(self, file: CodeFile) -> None:
        engine = _engine()
        # What is in no library of the process is Numba's, and LLVM knows it once Numba is there.
        if any(llvm.address_of_symbol(name) is None for name in file.more.get("needs", ())):
            lazy_numba.make_symbols_known()
        engine.add_object_file(llvm.ObjectFileRef.from_data(file.code))
        engine.finalize_object()
        self._keep_addresses(engine.get_function_address, file.more)
        # Last: another thread, or this one after Ctrl-C, takes the code for loaded from now on.
        self._loaded = True

    @functools.cached_property
    def _key(self) -> str:
        """What the code is of, but for the sources."""
        return repr((self.name, self.module, *self._facts, llvm.get_process_triple(), *_cpu()))

    def _path(self) -> Path | None:
        root = cache_directory()
        if root is None:
            return None
        end = hashlib.sha256(self._key.encode()).hexdigest()[:16]
        return root / source_stamp("cpu") / f"{self.name}-{end}{code_file.CPU_SUFFIX}"

    def _read(self) -> CodeFile | None:
        path = self._path()
        return None if path is None else code_file.read(path, self._key)

    def _write(self, file: CodeFile) -> None:
        path = self._path()
        if path is None:
            return
        # Without a place to write, or on a full disk, it costs the time to compile, no more.
        try:
            code_cache.prepare(path.parent)
            code_file.write(path, self._key, file.code, **file.more)
        except OSError as error:
            code_file.say_unkept(path.parent, error)


class EmittedCode(ObjectCode):
    """Functions that `emit` writes into a module as they are to run: past Numba and its optimizer,
    straight to LLVM's code generator. They need nothing from outside."""

    def __init__(self, name: str, module: str, emit: Callable[[ir.Module], None]):
        super().__init__(name, module)
        self._emit = emit

    def _compiled(self) -> CodeFile:
        machine = _target_machine()
        module = ir.Module(self.name)
        module.triple = llvm.get_process_triple()
        module.data_layout = str(machine.target_data)
        self._emit(module)
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        return CodeFile({}, bytes(machine.emit_object(parsed)))


@functools.cache
def _engine() -> llvm.ExecutionEngine:
    """Return what links object code: one for all, since it takes longer to make than to use."""
    managed = setting("USE_LLVMLITE_MEMORY_MANAGER")
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(), use_lmm=managed)


@functools.cache
def _cpu() -> tuple[str, str]:
    """Return LLVM's name of this CPU and its features, those for wider vectors left out."""
    name = setting("CPU_NAME") or llvm.get_host_cpu_name()
    features = setting("CPU_FEATURES")
    if features is None:
        available, avx = llvm.get_host_cpu_features(), bool(setting("ENABLE_AVX"))
        for feature in available:
            available[feature] &= avx or not feature.startswith("avx")
        features = available.flatten()
    flags = features.split(",")
    if LANES < 16:
        wide = ("avx512", "avx10")
        narrow = [flag for flag in flags if not flag[1:].startswith(wide)]
        features = ",".join(narrow)
        name = "haswell" if "+avx2" in narrow and "+avx512f" in flags else name
    return name, features


def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = _cpu()
    options = {"cpu": name, "features": features, "opt": 3, "codemodel": "jitdefault", "jit": True}
    x86 = llvm.Target.from_default_triple().name.startswith("x86")
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(**options, reloc="static" if x86 else "default")
