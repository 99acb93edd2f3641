"""Vector instructions for the few loops that compilers do not find, and what there is of them.

Loops written here are in LLVM's own terms, inside `numba.extending.intrinsic` functions; LLVM
splits or widens the vectors to what the processor has. Where an instruction has no such terms (a
look-up of sixteen bytes at once), `instruction_set` says which processors' own words may be used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

__all__ = ["data_of", "foreign", "instruction_set", "load", "meet", "spread"]

_NEEDED = {"avx512": ("avx512bw", "avx512vbmi", "avx512vnni"), "avx2": ("avx2",)}


@cache
def instruction_set() -> str:
    """`avx512` (with its byte permutations and dot products), `avx2`, or nothing we know: of what
    kernels are compiled for here, by default this processor."""
    from numba.core import codegen, config

    features = config.CPU_FEATURES
    if features is None:
        features = codegen.get_host_cpu_features()
    there = set(features.split(","))
    for name, needed in _NEEDED.items():
        if all(f"+{feature}" in there for feature in needed):
            return name
    return ""


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """The pointer to an array argument's first element."""
    return context.make_array(kind)(context, builder, array).data


def load(builder: Any, pointer: Any, kind: Any, align: int = 1) -> Any:
    """A vector (or number) of type `kind` from wherever it begins."""
    loaded = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    loaded.align = align
    return loaded


def meet(phi: Any, values: dict[Any, Any]) -> None:
    """What a phi is, by the block that control came from."""
    for block, value in values.items():
        phi.add_incoming(value, block)


def spread(builder: Any, scalar: Any, lanes: int) -> Any:
    """The scalar in every lane."""
    nothing = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(nothing, scalar, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, nothing, places)


def foreign(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """A processor's own instruction, by LLVM's name for it."""
    declared = builder.module.globals.get(name)
    if declared is None:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        declared = ir.Function(builder.module, kind, name)
    return builder.call(declared, arguments)
