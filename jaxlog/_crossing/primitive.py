"""The primitive that takes a record out of the compiled program, and its rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.experimental import io_callback
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxlog._crossing import delivery
from jaxlog._crossing.jax_private import EFFECT, EmitEffect, in_linear_transpose
from jaxlog._format.schema import MAX_LANE_AXES, header

emit_p = Primitive("jaxlog_emit")
emit_p.multiple_results = True


def emit(due: jax.Array, words: jax.Array, *, handle: int, call_number: int) -> None:
    """Sends one record to the host, where `due` is not zero.

    Under `vmap` the lanes of a record cross together, in one call. Differentiation passes through
    it without a trace: the operands are integers.

    Args:
      due: `uint32[]`, bits that say what of the record is filled in; zero sends nothing.
      words: `uint32[num_words]`, the packed record.
      handle: the logger's number.
      call_number: the schema's number.
    """
    emit_p.bind(due, words, handle=handle, call_number=call_number)


@emit_p.def_effectful_abstract_eval
def _abstract_eval(due: Any, words: Any, **_: Any) -> tuple[list[Any], set[EmitEffect]]:
    assert due.dtype == words.dtype == np.uint32
    assert due.ndim == words.ndim - 1
    return [], {EFFECT}


def _batch(axis: Any, args: Sequence[jax.Array], dims: Sequence[int | None], **params: Any) -> Any:
    manual = set(jax.sharding.get_abstract_mesh().manual_axes)
    if manual.intersection(axis.spmd_name or ()):
        raise ValueError(
            "a call of jaxlog stands under a shard_map in a vmap with "
            f"spmd_axis_name={axis.spmd_name}, so that each device has lanes the others do not "
            "know of; leave spmd_axis_name out, or take the vmap into the shard_map"
        )
    # A record that is the same in all lanes is one record.
    differs = any(dim is not None for dim in dims)
    return emit_p.bind(*(_with_lanes_in_front(args, dims) if differs else args), **params), []


def _with_lanes_in_front(args: Sequence[jax.Array], dims: Sequence[int | None]) -> list[jax.Array]:
    # An operand without lanes gets an axis of size 1, which the lowering broadcasts: a gate that
    # all lanes share is then decided once, not once a lane.
    return [
        jnp.expand_dims(arg, 0) if dim is None else jnp.moveaxis(arg, dim, 0)
        for arg, dim in zip(args, dims, strict=True)
    ]


def _jvp(primals: Sequence[jax.Array], _: Sequence[Any], **params: Any) -> Any:
    emit_p.bind(*primals, **params)
    return [], []


def _transpose(_: Any, *operands: Any, **__: Any) -> Any:
    if in_linear_transpose():
        return [None] * len(operands)  # another function, which has no such value
    raise NotImplementedError(
        "a call of jaxlog logs a value that JAX transposes, so that there is none. In a rule of "
        "jax.custom_jvp, which grad turns around, log the gradient instead, in the backward pass "
        "of a jax.custom_vjp"
    )


def _gate(
    due: jax.Array, words: jax.Array, *, handle: int, call_number: int, divided: bool
) -> list[Any]:
    """One buffer: who it is for, the lanes' shape, each lane's due bits, each lane's words."""
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    if not math.prod(lanes):
        return []
    own_gates = due.size > 1

    def cross(due: jax.Array, words: jax.Array) -> None:
        head = header(handle, call_number, lanes, own_gates=own_gates)
        due = jnp.broadcast_to(due, lanes).reshape(-1)
        words = jnp.broadcast_to(words, (*lanes, words.shape[-1])).reshape(-1)
        parts = (head, due, words)
        if divided:
            # Lanes may lie on several devices. To bring a concatenation of those to the one that
            # makes the call, XLA finds no good way, and says so at length; this it does.
            buffer, start = jnp.zeros(sum(part.size for part in parts), np.uint32), 0
            for part in parts:
                buffer = lax.dynamic_update_slice(buffer, part, (start,))
                start += part.size
        else:
            buffer = jnp.concatenate(parts)
        cross_p.bind(buffer)

    shared = due.reshape(()) if due.size == 1 else jnp.max(due)
    lax.cond(shared != 0, cross, lambda *_: None, due, words)
    return []


def _run(due: jax.Array, words: jax.Array, *, handle: int, call_number: int) -> list[Any]:
    """Outside of jit: one function, compiled once for each call. Inside of `disable_jit`, too."""
    with jax.disable_jit(False):
        return _run_compiled(due, words, handle=handle, call_number=call_number)


_run_compiled = jax.jit(emit_p.bind, static_argnames=("handle", "call_number"))


def _lower_emit(ctx: mlir.LoweringRuleContext, *args: Any, **params: Any) -> Any:
    # How the operands lie on a mesh is no matter of types any more: XLA knows.
    bare = [ShapedArray(aval.shape, aval.dtype) for aval in _arrays(ctx.avals_in)]
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        return _lower_gate(
            ctx.replace(avals_in=bare), *args, divided=_on_several_devices(ctx), **params
        )


def _on_several_devices(ctx: mlir.LoweringRuleContext) -> bool:
    context = ctx.module_context.axis_context
    return not isinstance(context, mlir.ShardingContext) or context.num_devices > 1


def _arrays(avals: Any) -> Sequence[ShapedArray]:
    return avals


_lower_gate = mlir.lower_fun(_gate, multiple_results=True)
emit_p.def_impl(_run)
ad.primitive_jvps[emit_p] = _jvp
ad.primitive_transposes[emit_p] = _transpose
batching.fancy_primitive_batchers[emit_p] = _batch
mlir.register_lowering(emit_p, _lower_emit)


# Which lane is this? Nothing but a batching rule can know.
lane_p = Primitive("jaxlog_lane")


def lane(due: jax.Array, words: jax.Array) -> jax.Array:
    """Where a record stands among the lanes of the `vmap`s around this call.

    Args:
      due: `uint32[]`, as for `emit`; with `words`, it says which lanes differ.
      words: `uint32[num_words]`.

    Returns:
      `uint32[2 + MAX_LANE_AXES]`: the lane's number, the number of lane axes, and their sizes.

    Raises:
      ValueError: there are more lane axes.
    """
    return lane_p.bind(due, words)


@lane_p.def_abstract_eval
def _lane_abstract_eval(due: Any, words: Any) -> Any:
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    if len(lanes) > MAX_LANE_AXES:
        raise ValueError(
            f"a call of jaxlog stands under {len(lanes)} vmaps, and with `delivery: return` "
            f"expects at most {MAX_LANE_AXES}; take several into one, over all combinations"
        )
    return ShapedArray((*lanes, 2 + MAX_LANE_AXES), np.dtype(np.uint32))


def _lane(due: jax.Array, words: jax.Array) -> jax.Array:
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    rest = (0,) * (MAX_LANE_AXES - len(lanes))
    axes = jnp.array([len(lanes), *lanes, *rest], np.uint32)
    numbers = jnp.arange(math.prod(lanes), dtype=np.uint32).reshape(*lanes, 1)
    return jnp.concatenate([numbers, jnp.broadcast_to(axes, (*lanes, axes.size))], axis=-1)


def _lane_batch(args: Sequence[jax.Array], dims: Sequence[int | None]) -> Any:
    return lane_p.bind(*_with_lanes_in_front(args, dims)), 0


def _lane_jvp(primals: Sequence[jax.Array], _: Sequence[Any]) -> Any:
    lane = lane_p.bind(*primals)
    return lane, ad.Zero(jax.typeof(lane).to_tangent_aval())


lane_p.def_impl(jax.jit(_lane))
ad.primitive_jvps[lane_p] = _lane_jvp
batching.primitive_batchers[lane_p] = _lane_batch
mlir.register_lowering(lane_p, mlir.lower_fun(_lane, multiple_results=False))


# The callback itself. `emit_p` binds it while it is lowered, when nothing transforms it any more.
cross_p = Primitive("jaxlog_cross")
cross_p.multiple_results = True


@cross_p.def_effectful_abstract_eval
def _cross_abstract_eval(_: Any) -> tuple[list[Any], set[EmitEffect]]:
    return [], {EFFECT}


def _deliver(words: Any) -> tuple[()]:
    delivery.receive(words)
    return ()


def _deliver_of_several_devices(words: Any) -> tuple[()]:
    delivery.receive(words, may_stop=False)
    return ()


def _check_io_callback() -> None:
    """Says before the program runs what would end it at its first record."""
    try:
        jax.local_devices(backend="cpu")
    except RuntimeError:
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        raise RuntimeError(
            "a program on several devices calls the host through jax.experimental.io_callback, "
            f"which needs a CPU device; got jax_platforms={platforms!r}, expected 'cpu' among "
            f"them: JAX_PLATFORMS={platforms},cpu"
        ) from None


def _lower_cross(ctx: mlir.LoweringRuleContext, buffer: Any) -> Any:
    if _on_several_devices(ctx):
        # Which of the devices makes the call is for `io_callback` to say.
        _check_io_callback()
        return _lower_io_callback(ctx, buffer)
    # What `io_callback` lowers to, but for one thing: around the function it calls, it moves the
    # arguments to a device of JAX's and sets a default device. That is most of what a call costs
    # (116 us against 23, on the CPU), and can deadlock. Words that are read as NumPy need neither.
    results, _, _ = mlir.emit_python_callback(
        ctx,
        _deliver,
        None,
        [buffer],
        _arrays(ctx.avals_in),
        [],
        has_side_effect=True,
        returns_token=False,
    )
    return results


_lower_io_callback = mlir.lower_fun(
    partial(io_callback, _deliver_of_several_devices, ()), multiple_results=True
)
mlir.register_lowering(cross_p, _lower_cross)
