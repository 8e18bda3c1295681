"""The primitive that sends a record out of the compiled program, and its rules."""

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

from jaxlog._crossing import delivery, native_target
from jaxlog._crossing.jax_private import EFFECT, EmitEffect, in_linear_transpose
from jaxlog._format.delivery import header
from jaxlog._format.schema import MAX_LANE_AXES

emit_p = Primitive("jaxlog_emit")
emit_p.multiple_results = True


def emit(
    due: jax.Array, head: jax.Array, rest: jax.Array, *, handle: int, call_number: int
) -> None:
    """Sends one record to the host if `due` is not zero.

    Under `vmap` the records of all lanes cross together, in one callback. The operands are
    integers, so differentiation ignores it.

    Args:
      due: `uint32[]`, bits that mark the parts of the record that are due; zero sends nothing.
      head: `uint32[head_words]`, the words of the record's head, joined by `side_by_side`.
      rest: `uint32[n]`, the rest of its words.
      handle: the handle of the logger.
      call_number: the number of the schema.
    """
    emit_p.bind(due, head, rest, handle=handle, call_number=call_number)


@emit_p.def_effectful_abstract_eval
def _abstract_eval(due: Any, head: Any, rest: Any, **_: Any) -> tuple[list[Any], set[EmitEffect]]:
    assert due.dtype == head.dtype == rest.dtype == np.uint32
    assert due.ndim == head.ndim - 1 == rest.ndim - 1
    return [], {EFFECT}


def _batch(axis: Any, args: Sequence[jax.Array], dims: Sequence[int | None], **params: Any) -> Any:
    manual = set(jax.sharding.get_abstract_mesh().manual_axes)
    if manual.intersection(axis.spmd_name or ()):
        raise ValueError(
            "a call of jaxlog is under a shard_map in a vmap with "
            f"spmd_axis_name={axis.spmd_name}, so that each device has lanes which the others do "
            "not have; leave spmd_axis_name out, or put the vmap inside the shard_map"
        )
    # A record that does not differ between lanes is sent once, for no lane.
    if any(dim is not None for dim in dims):
        args = [_with_lanes(*operand) for operand in zip(args, dims, (0, 1, 0), strict=True)]
    return emit_p.bind(*args, **params), []


def _with_lanes(array: jax.Array, dim: int | None, axis: int) -> jax.Array:
    """Moves the lanes of an operand to an axis.

    An operand without lanes gets an axis of size 1, which the lowering broadcasts: `due` that all
    lanes share is then tested once, not once per lane.
    """
    return jnp.expand_dims(array, axis) if dim is None else jnp.moveaxis(array, dim, axis)


def _jvp(primals: Sequence[jax.Array], _: Sequence[Any], **params: Any) -> Any:
    emit_p.bind(*primals, **params)
    return [], []


def _transpose(_: Any, *operands: Any, **__: Any) -> Any:
    if in_linear_transpose():
        return [None] * len(operands)  # the transposed function does not compute these values
    raise NotImplementedError(
        "a call of jaxlog logs a value that JAX transposes, so it is never computed. This happens "
        "in a rule of jax.custom_jvp under grad; log the gradient instead, in the backward pass "
        "of a jax.custom_vjp"
    )


def _gate(
    due: jax.Array, head: jax.Array, rest: jax.Array, *, handle: int, call_number: int
) -> list[Any]:
    """Sends one delivery: a header with handle and lanes, the due bits and words of all lanes."""
    lanes = np.broadcast_shapes(due.shape, head.shape[1:], rest.shape[:-1])
    if not math.prod(lanes):
        return []
    own_gates = due.size > 1

    def cross(due: jax.Array, head: jax.Array, rest: jax.Array) -> None:
        begin = header(handle, call_number, len(head), lanes, own_gates=own_gates)
        due = jnp.broadcast_to(due, lanes).reshape(-1)
        head = jnp.broadcast_to(head, (len(head), *lanes)).reshape(-1)
        rest = jnp.broadcast_to(rest, (*lanes, rest.shape[-1])).reshape(-1)
        cross_p.bind(jnp.concatenate([begin, due]), *(part for part in (head, rest) if part.size))

    shared = due.reshape(()) if due.size == 1 else jnp.max(due)
    lax.cond(shared != 0, cross, lambda *_: None, due, head, rest)
    return []


def _run(*args: jax.Array, handle: int, call_number: int) -> list[Any]:
    """Runs outside of jit, also under `disable_jit`: a function that is compiled once per call."""
    with jax.disable_jit(False):
        return _run_compiled(*args, handle=handle, call_number=call_number)


_run_compiled = jax.jit(emit_p.bind, static_argnames=("handle", "call_number"))


def _lower_emit(ctx: mlir.LoweringRuleContext, *args: Any, **params: Any) -> Any:
    # When a program is lowered, XLA knows the shardings, so the types need none.
    bare = [ShapedArray(aval.shape, aval.dtype) for aval in _arrays(ctx.avals_in)]
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        return _lower_gate(ctx.replace(avals_in=bare), *args, **params)


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


# Only a batching rule knows the number of a lane, so a second primitive returns it.
lane_p = Primitive("jaxlog_lane")


def lane(due: jax.Array, words: jax.Array) -> jax.Array:
    """The position of a record among the lanes of the enclosing `vmap`s.

    Args:
      due: `uint32[]`, as for `emit`; its lane axes and those of `words` are the record's.
      words: `uint32[num_words]`.

    Returns:
      `uint32[2 + MAX_LANE_AXES]`: the lane's number, the number of lane axes, and their sizes.

    Raises:
      ValueError: there are more than `MAX_LANE_AXES` lane axes.
    """
    return lane_p.bind(due, words)


@lane_p.def_abstract_eval
def _lane_abstract_eval(due: Any, words: Any) -> Any:
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    if len(lanes) > MAX_LANE_AXES:
        raise ValueError(
            f"a call of jaxlog is under {len(lanes)} vmaps, but `delivery: return` allows at most "
            f"{MAX_LANE_AXES}; combine several into one vmap over all combinations"
        )
    return ShapedArray((*lanes, 2 + MAX_LANE_AXES), np.dtype(np.uint32))


def _lane(due: jax.Array, words: jax.Array) -> jax.Array:
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    rest = (0,) * (MAX_LANE_AXES - len(lanes))
    axes = jnp.array([len(lanes), *lanes, *rest], np.uint32)
    numbers = jnp.arange(math.prod(lanes), dtype=np.uint32).reshape(*lanes, 1)
    return jnp.concatenate([numbers, jnp.broadcast_to(axes, (*lanes, axes.size))], axis=-1)


def _lane_batch(args: Sequence[jax.Array], dims: Sequence[int | None]) -> Any:
    return lane_p.bind(*(_with_lanes(*operand, 0) for operand in zip(args, dims, strict=True))), 0


def _lane_jvp(primals: Sequence[jax.Array], _: Sequence[Any]) -> Any:
    lane = lane_p.bind(*primals)
    return lane, ad.Zero(jax.typeof(lane).to_tangent_aval())


lane_p.def_impl(jax.jit(_lane))
ad.primitive_jvps[lane_p] = _lane_jvp
batching.primitive_batchers[lane_p] = _lane_batch
mlir.register_lowering(lane_p, mlir.lower_fun(_lane, multiple_results=False))


# Under `vmap`, `jnp.concatenate` puts the words of each lane side by side: XLA copies every array
# and then transposes them. This primitive puts the lanes of each word side by side, as they are.
_side_by_side_p = Primitive("jaxlog_side_by_side")


def side_by_side(vectors: Sequence[jax.Array]) -> jax.Array:
    """Concatenates vectors; under `vmap` the lanes become the last axes, the outermost first."""
    return _side_by_side_p.bind(*vectors) if len(vectors) > 1 else vectors[0]


def _joined(*arrays: jax.Array) -> jax.Array:
    return jnp.concatenate(arrays)


@_side_by_side_p.def_abstract_eval
def _joined_abstract_eval(*arrays: Any) -> ShapedArray:
    rows = sum(array.shape[0] for array in arrays)
    return ShapedArray((rows, *arrays[0].shape[1:]), arrays[0].dtype)


def _joined_batch(arrays: Sequence[jax.Array], dims: Sequence[int | None]) -> tuple[jax.Array, int]:
    (lanes,) = {a.shape[dim] for a, dim in zip(arrays, dims, strict=True) if dim is not None}
    moved = [
        jnp.broadcast_to(jnp.expand_dims(array, 1), (len(array), lanes, *array.shape[1:]))
        if dim is None
        else jnp.moveaxis(array, dim, 1)
        for array, dim in zip(arrays, dims, strict=True)
    ]
    return _side_by_side_p.bind(*moved), 1


_side_by_side_p.def_impl(jax.jit(_joined))
batching.primitive_batchers[_side_by_side_p] = _joined_batch
mlir.register_lowering(_side_by_side_p, mlir.lower_fun(_joined, multiple_results=False))


# The callback itself. `emit_p` binds it while it is lowered, after all transformations.
cross_p = Primitive("jaxlog_cross")
cross_p.multiple_results = True
# C takes the parts of a delivery as they are. Python takes one buffer, by this primitive: the cost
# of a callback in Python grows with the number of its arguments.
call_p = Primitive("jaxlog_call")
call_p.multiple_results = True


@cross_p.def_effectful_abstract_eval
@call_p.def_effectful_abstract_eval
def _no_result(*_: Any) -> tuple[list[Any], set[EmitEffect]]:
    return [], {EFFECT}


def _call(*parts: jax.Array, divided: bool) -> list[Any]:
    if divided:
        # Lanes may be on several devices. XLA cannot move a concatenation of them efficiently to
        # the device that makes the callback, and prints long warnings; this buffer it can.
        buffer, start = jnp.zeros(sum(part.size for part in parts), np.uint32), 0
        for part in parts:
            buffer = lax.dynamic_update_slice(buffer, part, (start,))
            start += part.size
    else:
        buffer = jnp.concatenate(parts)
    return call_p.bind(buffer)


def _deliver(words: Any) -> tuple[()]:
    delivery.receive(words)
    return ()


def _deliver_of_several_devices(words: Any) -> tuple[()]:
    delivery.receive(words, may_stop=False)
    return ()


def _check_io_callback() -> None:
    """Raises, while the program is compiled, an error that would otherwise end it while it runs."""
    try:
        jax.local_devices(backend="cpu")
    except RuntimeError:
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        raise RuntimeError(
            "a program on several devices calls the host through jax.experimental.io_callback, "
            f"which needs a CPU device; got jax_platforms={platforms!r}, expected 'cpu' among "
            f"them: JAX_PLATFORMS={platforms},cpu"
        ) from None


def _lower_cross(ctx: mlir.LoweringRuleContext, *parts: Any) -> Any:
    several, on_cpu = _on_several_devices(ctx), tuple(ctx.module_context.platforms) == ("cpu",)
    # Under `shard_map` each device makes the call, and those that have nothing to log skip it.
    each = isinstance(ctx.module_context.axis_context, mlir.SPMDAxisContext)
    if on_cpu and (each or not several) and native_target.is_registered():
        return (_lower_native_of_several if several else _lower_native)(ctx, *parts)
    return _lower_parts(ctx, *parts, divided=several)


def _lower_call(ctx: mlir.LoweringRuleContext, buffer: Any) -> Any:
    if _on_several_devices(ctx):
        # `io_callback` chooses the device that makes the callback: XLA keeps the sharding of its
        # own callbacks only.
        _check_io_callback()
        return _lower_io_callback(ctx, buffer)
    # The same lowering as that of `io_callback`, except that `io_callback` moves the arguments to a
    # JAX device and sets a default device around the function. That is most of the cost of a call
    # (116 us against 23 on the CPU) and can deadlock; words that are read as NumPy need neither.
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


_lower_native, _lower_native_of_several = (
    jax.ffi.ffi_lowering(name, has_side_effect=True)
    for name in (native_target.ONE_DEVICE, native_target.SEVERAL_DEVICES)
)
_lower_io_callback = mlir.lower_fun(
    partial(io_callback, _deliver_of_several_devices, ()), multiple_results=True
)
_lower_parts = mlir.lower_fun(_call, multiple_results=True)
mlir.register_lowering(cross_p, _lower_cross)
mlir.register_lowering(call_p, _lower_call)
