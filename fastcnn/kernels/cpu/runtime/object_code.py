"""Code that goes straight to LLVM's code generator, past Numba and its optimizer.

For functions that are emitted as they are to run. The machine code is kept on disk like that of a
kernel.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import config
from numba.core.codegen import JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from fastcnn.kernels import code_cache, code_file
from fastcnn.kernels.cpu.runtime.code import Code
from fastcnn.kernels.cpu.runtime.compile_cache import cache_directory, source_stamp
from fastcnn.kernels.cpu.simd.register_tile import LANES


class ObjectCode(Code):
    """The functions of one module, which `emit` fills."""

    def __init__(self, name: str, module: str, emit: Callable[[ir.Module], None]):
        self.name, self.module = name, module
        self._emit = emit
        self._engine: llvm.ExecutionEngine | None = None

    @property
    def loaded(self) -> bool:
        """Whether there is machine code in this process."""
        return self._engine is not None

    def in_cache(self) -> bool:
        """Say whether machine code for this CPU is on disk."""
        return self._read() is not None

    @global_compiler_lock
    def compile(self) -> None:
        """Load the machine code from disk, or compile it and write it there."""
        if self.loaded:
            return
        machine = _target_machine()
        code = self._read()
        if code is None:
            code = self._compile(machine)
            self._write(code)
        engine = llvm.create_mcjit_compiler(
            llvm.parse_assembly(""), machine, use_lmm=vars(config)["USE_LLVMLITE_MEMORY_MANAGER"]
        )
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._keep_addresses(engine.get_function_address)
        # Last: another thread, or this one after Ctrl-C, takes the code for loaded from now on.
        self._engine = engine

    @abstractmethod
    def _keep_addresses(self, address: Callable[[str], int]) -> None:
        """Keep where the functions are; `address` tells it of one by its name."""

    def _compile(self, machine: llvm.TargetMachine) -> bytes:
        module = ir.Module(self.name)
        module.triple = llvm.get_process_triple()
        module.data_layout = str(machine.target_data)
        self._emit(module)
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        return bytes(machine.emit_object(parsed))

    def _path(self) -> Path | None:
        root = cache_directory()
        if root is None:
            return None
        end = hashlib.sha256(_key(self.name).encode()).hexdigest()[:16]
        return root / source_stamp() / f"{self.name}-{end}{code_file.CPU_SUFFIX}"

    def _read(self) -> bytes | None:
        path = self._path()
        file = None if path is None else code_file.read(path, _key(self.name))
        return None if file is None else file.code

    def _write(self, code: bytes) -> None:
        path = self._path()
        # Without a place to write, or on a full disk, it costs the time to compile, no more.
        with suppress(OSError):
            if path is not None:
                code_cache.prepare(path.parent)
                code_file.write(path, _key(self.name), code)


def _key(name: str) -> str:
    """Return what the code is of, but for the sources."""
    return repr((name, llvm.get_process_triple(), *_cpu()))


def _cpu() -> tuple[str, str]:
    """Return LLVM's name of this CPU and its features, those for wider vectors left out."""
    codegen: JITCPUCodegen = cpu_target.target_context.codegen()
    name, features = codegen._get_host_cpu_name(), codegen._tm_features
    if LANES < 16:
        wide = ("avx512", "avx10")
        narrow = [flag for flag in features.split(",") if not flag[1:].startswith(wide)]
        features = ",".join(narrow)
        name = "haswell" if "+avx2" in narrow and "+avx512f" in codegen._tm_features else name
    return name, features


def _target_machine() -> llvm.TargetMachine:
    name, features = _cpu()
    options = {"cpu": name, "features": features, "opt": 3, "codemodel": "jitdefault", "jit": True}
    x86 = llvm.Target.from_default_triple().name.startswith("x86")
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(**options, reloc="static" if x86 else "default")
