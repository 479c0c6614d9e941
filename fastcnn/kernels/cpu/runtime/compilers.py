"""Numba's compiler, cut down to what kernels and their functions need.

Of its passes the others are for what kernels do not have: closures, `with`, exceptions, arrays'
expressions. A cold start spends 14 % less processor time without them and without machine code for
functions that are never called by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import lowering, typed_passes, untyped_passes
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager, register_pass

# What a function needs whom Python calls, or ctypes, and what counts references to objects: a
# kernel's functions have neither such callers nor objects, and compile in two thirds of the time.
_WITHOUT: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


class _KernelLower(lowering.Lower):
    """Writes a kernel in LLVM's language."""

    def create_cfunc_wrapper(self) -> None:
        """Write the `void(record *)`.

        Numba's own would tell Python what a kernel raises. None of them does, and without that the
        machine code needs nothing of Numba in the process that runs it.
        """
        context, kernel = self.context, self.fndesc
        module = context.create_module("cfunc_wrapper")
        kind = context.call_conv.get_function_type(kernel.restype, kernel.argtypes)
        callee = ir.Function(module, kind, kernel.llvm_func_name)
        parameters = [context.get_value_type(argument) for argument in kernel.argtypes]
        outer = ir.FunctionType(ir.VoidType(), parameters)
        wrapper = ir.Function(module, outer, kernel.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(wrapper.append_basic_block())
        context.call_conv.call_function(
            builder, callee, kernel.restype, kernel.argtypes, wrapper.args, attrs=("noinline",)
        )
        builder.ret_void()
        self.library.add_ir_module(module)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(typed_passes.NativeLowering):
    _name = "kernel_lowering"

    @property
    def lowering_class(self) -> type[lowering.Lower]:
        return _KernelLower


PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    _KernelLowering,
    typed_passes.NoPythonBackend,
)


class KernelCompiler(Compiler):
    """The way from a kernel's Python to machine code."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("kernel")
        for each in PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class PartCompiler(KernelCompiler):
    """The way from the Python of a kernel's function to a library that kernels link."""

    def define_pipelines(self) -> list[PassManager]:
        state = self.state
        state.flags.no_compile = True
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


class _Part(JITCodeLibrary):
    """A function in LLVM's language, of which no machine code is made."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        # A kernel gets all of LLVM's passes once its parts are together; a part, which many kernels
        # may have, those that make it small.
        passes, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, cost="cheap"
        )
        passes.run(self._final_module, builder)
        self._finalized = True


def part(body: Callable) -> Any:
    """Return Numba's object for a function that kernels call."""
    # Numba declares neither these options nor what is set here.
    options: dict[str, Any] = {"error_model": "numpy", "pipeline_class": PartCompiler}
    function: Any = numba.njit(**options, **_WITHOUT)(body)

    def note(result: Any) -> None:
        # Numba knows a compiled function by its entry point; a part has a name in its place.
        named = result._replace(entry_point=object())
        context = result.target_context
        context.insert_user_function(named.entry_point, named.fndesc, [named.library])
        function.overloads[tuple(result.signature.args)] = named

    function.add_overload = note
    return function


def kernel_code(
    body: Callable, dtype: np.dtype, fastmath: bool | set[str]
) -> tuple[str, list[str], bytes]:
    """Compile a kernel.

    Returns:
        The name of its function, those of what it needs from outside, and its object code.
    """
    options: dict[str, Any] = {"nopython": True, "error_model": "numpy", "_nrt": False}
    function = _c_function(body, dtype, {**options, "fastmath": fastmath}, KernelCompiler)
    module = function._library._final_module
    names = [
        value.name
        for value in (*module.functions, *module.global_variables)
        if value.is_declaration and not value.name.startswith("llvm.")
    ]
    return function.native_name, sorted(names), function._library._get_compiled_object()


def raising_kernel(body: Callable, dtype: np.dtype) -> Any:
    """Compile a kernel that may raise: its address is the result's `address`."""
    return _c_function(body, dtype, {"nopython": True, "error_model": "numpy"}, Compiler)


def _c_function(
    body: Callable, dtype: np.dtype, options: dict[str, Any], compiler: type[Compiler]
) -> Any:
    signature = types.void(types.CPointer(numba.from_dtype(dtype)))
    # Numba does not declare what a function keeps.
    kinds = signature.args, signature.return_type
    function: Any = CFunc(body, kinds, {}, options, pipeline_class=compiler)
    function.compile()
    return function
