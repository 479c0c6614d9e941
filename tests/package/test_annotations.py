"""Host functions of `fastcnn/kernels` have annotations, so that mypy checks them.

What Numba compiles has none: mypy is told to pass by functions without annotations there.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fastcnn

KERNELS = Path(fastcnn.__file__).parent / "kernels"
# What makes a function of Python one of the machine, as a decorator or called with it.
COMPILING = {
    *(
        "kernel",
        "kernel_function",
        "inline",
        "njit",
        "cached_njit",
        "jit",
        "intrinsic",
        "register_jitable",
        "teamed",
    ),
    *("tile_kernel", "Kernel", "_named", "overload", "lower_cast", "part"),
}
# Plain functions that both devices compile.
COMPILED = {
    *("shared/affine_sampling.py", "shared/border.py", "shared/hinge.py", "shared/losses.py"),
    *("shared/optimizers.py", "shared/row.py"),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(node: ast.expr) -> str:
    """The last name of what is called: `jit` of `cuda.jit(...)`, `kernel` of `kernel(...)(f)`."""
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def host_functions(tree: ast.AST) -> list[Function]:
    """All functions but those that are compiled, and those within them."""
    passed = {
        argument.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node) in COMPILING
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    functions = []
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, Function):
                decorators = {name_of(decorator) for decorator in node.decorator_list}
                if decorators & COMPILING or node.name in passed:
                    continue
                functions.append(node)
            waiting.append(node)
    return functions


def missing(function: Function) -> list[str]:
    """What of a function has no annotation."""
    signature = function.args
    extra = [argument for argument in (signature.vararg, signature.kwarg) if argument is not None]
    arguments = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs, *extra]
    without = [argument.arg for argument in arguments if argument.annotation is None]
    initializer = function.name == "__init__" and len(arguments) > 1
    if function.returns is None and not initializer:
        without.append("return")
    return [name for name in without if name not in ("self", "cls")]


FILES = {path.relative_to(KERNELS).as_posix(): path for path in KERNELS.rglob("*.py")}


@pytest.mark.parametrize("name", sorted(FILES.keys() - COMPILED))
def test_host_functions_are_annotated(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    bare = {
        f"{function.name}, line {function.lineno}": without
        for function in host_functions(tree)
        if (without := missing(function))
    }
    assert not bare
    assert FILES.keys() >= COMPILED


def test_a_function_without_annotations_is_noticed():
    source = """
@inline
def compiled(x):
    def within(y): ...
def passed(x): ...
added = kernel(launch)(passed)
def host(x, *, y: int): ...
"""
    (function,) = host_functions(ast.parse(source))
    assert (function.name, missing(function)) == ("host", ["x", "return"])
