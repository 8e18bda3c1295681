"""Where the values of an array lie in memory."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxlog._program.shapes import Shaped

# `with_layout_constraint` itself would make a program that `jax.export` refuses.
_in_rows_p = Primitive("jaxlog_in_rows")


def in_rows(array: Shaped[jax.Array, "..."]) -> Shaped[jax.Array, "..."]:
    """The same array, with the entries of its last axis side by side in memory.

    XLA computes a transposed array again wherever it is used, and reads far apart to do so. This
    makes it copy the array once. A program that is exported has no such copy.

    Works under `jit`, `vmap`, `grad` and `scan`; the lane axes of a `vmap` become the first.
    """
    return _in_rows_p.bind(array)


def _constrained(array: jax.Array) -> jax.Array:
    return with_layout_constraint(array, Layout(tuple(range(array.ndim))))


_lower_constrained = mlir.lower_fun(_constrained, multiple_results=False)


def _lower(ctx: mlir.LoweringRuleContext, array: Any) -> Any:
    exported = ctx.module_context.lowering_parameters.for_export
    return [array] if exported else _lower_constrained(ctx, array)


def _batch(arrays: tuple[jax.Array], dims: tuple[int]) -> tuple[jax.Array, int]:
    return in_rows(jnp.moveaxis(arrays[0], dims[0], 0)), 0


_in_rows_p.def_abstract_eval(lambda array: array)
_in_rows_p.def_impl(lambda array: array)
ad.deflinear2(_in_rows_p, lambda cotangent, _: [in_rows(cotangent)])
batching.primitive_batchers[_in_rows_p] = _batch
mlir.register_lowering(_in_rows_p, _lower)
