"""The primitive that takes a record out of the compiled program.

The only module that touches JAX's extension API, and the only one that imports a private name of
JAX: `jax._src.effects`. What a primitive with an effect of its own may be inside of (loops,
branches, `jax.checkpoint`, custom derivatives, partial evaluation) is decided by sets of effects,
and JAX publishes only one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src import effects  # the sets of allowed effects have no public name
from jax.experimental import io_callback
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxlog.crossing import delivery
from jaxlog.schema import header


class EmitEffect(effects.Effect):
    """Marks a program that emits records, so that nothing removes or repeats the emission."""

    __str__ = __repr__ = lambda _: "JaxlogEmit"  # pyright: ignore[reportAssignmentType]


_EFFECT = EmitEffect()
for _allowed in (
    effects.lowerable_effects,
    effects.control_flow_allowed_effects,
    effects.custom_derivatives_allowed_effects,
    effects.remat_allowed_effects,
    # Without this one, grad of a scan that emits would drop the emissions without a word.
    effects.partial_eval_kept_effects,
):
    _allowed.add_type(EmitEffect)

emit_p = Primitive("jaxlog_emit")
emit_p.multiple_results = True


def emit(due: jax.Array, words: jax.Array, *, handle: int, site: int) -> None:
    """Sends one record to the host, where `due` is not zero.

    Under `vmap` the lanes of a record cross together, in one call. Differentiation passes through
    it without a trace: the operands are integers.

    Args:
      due: `uint32[]`, bits that say what of the record is filled in; zero sends nothing.
      words: `uint32[num_words]`, the packed record.
      handle: the logger's number.
      site: the schema's number.
    """
    emit_p.bind(due, words, handle=handle, site=site)


@emit_p.def_effectful_abstract_eval
def _abstract_eval(due: Any, words: Any, **_: Any) -> tuple[list[Any], set[effects.Effect]]:
    assert due.dtype == words.dtype == np.uint32
    assert due.ndim == words.ndim - 1
    return [], {_EFFECT}


def _batch(args: Sequence[jax.Array], dims: Sequence[int | None], **params: Any) -> Any:
    # A lane axis goes in front of both. An operand without one gets an axis of size 1, which the
    # lowering broadcasts: a gate that all lanes share is then decided once, not once a lane.
    args = [
        jnp.expand_dims(arg, 0) if dim is None else jnp.moveaxis(arg, dim, 0)
        for arg, dim in zip(args, dims, strict=True)
    ]
    emit_p.bind(*args, **params)
    return [], []


def _jvp(primals: Sequence[jax.Array], _: Sequence[Any], **params: Any) -> Any:
    emit_p.bind(*primals, **params)
    return [], []


def _gate(due: jax.Array, words: jax.Array, *, handle: int, site: int) -> list[Any]:
    """One buffer: who it is for, the lanes' shape, each lane's due bits, each lane's words."""
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    if not math.prod(lanes):
        return []

    def cross(due: jax.Array, words: jax.Array) -> None:
        due = jnp.broadcast_to(due, lanes).reshape(-1)
        words = jnp.broadcast_to(words, (*lanes, words.shape[-1])).reshape(-1)
        cross_p.bind(jnp.concatenate([header(handle, site, lanes), due, words]))

    lax.cond(jnp.any(due != 0), cross, lambda *_: None, due, words)
    return []


emit_p.def_impl(jax.jit(_gate, static_argnames=("handle", "site")))  # compiled once, outside jit
batching.primitive_batchers[emit_p] = _batch
ad.primitive_jvps[emit_p] = _jvp
mlir.register_lowering(emit_p, mlir.lower_fun(_gate, multiple_results=True))


# The callback itself. `emit_p` binds it while it is lowered, when nothing transforms it any more.
cross_p = Primitive("jaxlog_cross")
cross_p.multiple_results = True


@cross_p.def_effectful_abstract_eval
def _cross_abstract_eval(_: Any) -> tuple[list[Any], set[effects.Effect]]:
    return [], {_EFFECT}


def _deliver(words: Any) -> tuple[()]:
    delivery.receive(words)
    return ()


def _lower_cross(ctx: mlir.LoweringRuleContext, buffer: Any) -> Any:
    devices = ctx.module_context.axis_context
    if not isinstance(devices, mlir.ShardingContext) or devices.num_devices != 1:
        return _lower_io_callback(ctx, buffer)
    # What `io_callback` lowers to, but for one thing: around the function it calls, it moves the
    # arguments to a device of JAX's and sets a default device. That is most of what a call costs
    # (116 us against 23, on the CPU), and can deadlock. Words that are read as NumPy need neither.
    results, _, _ = mlir.emit_python_callback(
        ctx,
        _deliver,
        None,
        [buffer],
        ctx.avals_in,
        [],
        has_side_effect=True,
        returns_token=False,
    )
    return results


_lower_io_callback = mlir.lower_fun(partial(io_callback, _deliver, ()), multiple_results=True)
cross_p.def_impl(lambda buffer: _deliver(np.asarray(buffer)))  # for jax.disable_jit
mlir.register_lowering(cross_p, _lower_cross)
