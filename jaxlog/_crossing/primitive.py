"""The primitive that takes a record out of the compiled program.

The only module that touches JAX's extension API, and the only one that imports private names of
JAX. What a primitive with an effect of its own may be inside of (loops, branches, `jax.checkpoint`,
custom derivatives, partial evaluation) is decided by sets of effects, in `jax._src.effects`, and
JAX publishes only one of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src import (
    core,  # whether JAX is tracing has no public name
    effects,  # nor have the sets of allowed effects
)
from jax._src.interpreters import (
    mlir as lowering,  # nor the rules that lower loops and branches
)
from jax._src.interpreters import (
    partial_eval,  # nor those that split a program in two
)
from jax._src.lax.control_flow import conditionals  # nor whether it is tracing a branch
from jax.core import ShapedArray
from jax.experimental import io_callback
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxlog._crossing import delivery
from jaxlog._format.schema import MAX_LANE_AXES, header


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


def tracing() -> bool:
    """Whether what is called now becomes part of a program, even if it has no operands."""
    return not core.trace_state_clean()


def in_branch() -> bool:
    """Whether this call becomes part of a branch of a `cond` or `switch`.

    A tracer does not know: a function that is compiled within the branch is traced by itself.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == conditionals.__name__:
            return True
        frame = frame.f_back
    return False


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
    if _in_linear_transpose():
        return [None] * len(operands)  # another function, which has no such value
    raise NotImplementedError(
        "a call of jaxlog logs a value that JAX transposes, so that there is none. In a rule of "
        "jax.custom_jvp, which grad turns around, log the gradient instead, in the backward pass "
        "of a jax.custom_vjp"
    )


def _in_linear_transpose() -> bool:
    """Whether `jax.linear_transpose` calls, and not `grad`: the solvers of linear systems do it.

    Both turn a program around in the same way: only who began it tells them apart.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_qualname == "linear_transpose.<locals>.transposed_fun":
            return True
        frame = frame.f_back
    return False


def _gate(due: jax.Array, words: jax.Array, *, handle: int, site: int, divided: bool) -> list[Any]:
    """One buffer: who it is for, the lanes' shape, each lane's due bits, each lane's words."""
    lanes = np.broadcast_shapes(due.shape, words.shape[:-1])
    if not math.prod(lanes):
        return []
    own_gates = due.size > 1

    def cross(due: jax.Array, words: jax.Array) -> None:
        head = header(handle, site, lanes, own_gates=own_gates)
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


def _run(due: jax.Array, words: jax.Array, *, handle: int, site: int) -> list[Any]:
    """Outside of jit: one function, compiled once for each site. Inside of `disable_jit`, too."""
    with jax.disable_jit(False):
        return _run_compiled(due, words, handle=handle, site=site)


_run_compiled = jax.jit(emit_p.bind, static_argnames=("handle", "site"))


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


# To differentiate a program, JAX splits it: in what is computed at once, and what a backward pass
# or the function of `jax.linearize` computes later. A `while_loop` cannot keep what its steps
# computed, so that the later half has a copy of the whole loop. That would log each step again; and
# for its effect JAX would keep a copy that nothing uses, which `grad` cannot transpose.
_Split = Callable[..., Any]


def _jaxprs(params: Any) -> Iterator[Any]:
    """The programs in the parameters of an equation."""
    for value in params if isinstance(params, tuple | list) else params.values():
        if _is_jaxpr(value):
            yield value
        elif isinstance(value, tuple | list):
            yield from _jaxprs(value)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") and hasattr(value, "effects")


def _replace(jaxpr: Any, **changed: Any) -> Any:
    """A changed program. Before JAX 0.12 the constants of one stand in a box around it."""
    bare = getattr(jaxpr, "jaxpr", jaxpr)
    if bare is jaxpr:
        return jaxpr.replace(**changed)
    return jaxpr.replace(jaxpr=bare.replace(**changed))


def _emits(params: Any) -> bool:
    return any(_EFFECT in jaxpr.effects for jaxpr in _jaxprs(params))


def _num_emissions(params: Any) -> int:
    found = 0
    for jaxpr in _jaxprs(params):
        for eqn in jaxpr.eqns:
            found += eqn.primitive is emit_p
            found += _num_emissions(eqn.params) if _EFFECT in eqn.effects else 0
    return found


def _silent(value: Any) -> Any:
    """A program, or several, without its emissions; anything else as it is."""
    if _is_jaxpr(value):
        if _EFFECT not in value.effects:
            return value
        eqns = [
            _silent_equation(eqn) if _EFFECT in eqn.effects else eqn
            for eqn in value.eqns
            if eqn.primitive is not emit_p
        ]
        return _replace(value, eqns=eqns, effects=value.effects - {_EFFECT})
    if isinstance(value, tuple | list) and any(True for _ in _jaxprs(value)):
        return jax.tree.map(_silent, value, is_leaf=_is_jaxpr)
    return value


def _silent_equation(eqn: Any) -> Any:
    """An equation, or what is to become one, without the emissions in its programs."""
    params = {key: _silent(value) for key, value in eqn.params.items()}
    changed = {"params": params, "effects": eqn.effects - {_EFFECT}}
    return eqn._replace(**changed) if hasattr(eqn, "_replace") else eqn.replace(**changed)


def _emitting_half(
    params: dict[str, Any], unknown: Sequence[bool], unknown_carry: Sequence[bool]
) -> dict[str, Any] | None:
    """The loop that is computed at once; None where it does not log all that the loop logs."""
    in_cond, in_body = params["cond_nconsts"], params["body_nconsts"]
    of_cond, of_body = list(unknown[:in_cond]), list(unknown[in_cond : in_cond + in_body])
    carry = list(unknown_carry)
    split = partial_eval.partial_eval_jaxpr_nounits
    cond, *_ = split(params["cond_jaxpr"], of_cond + carry, instantiate=False)
    body, *_ = split(params["body_jaxpr"], of_body + carry, instantiate=carry)
    if _num_emissions([cond, body]) < _num_emissions(params):
        return None
    outputs = getattr(body, "jaxpr", body).outvars[: carry.count(False)]
    return {
        "cond_jaxpr": cond,
        "body_jaxpr": _replace(body, outvars=outputs),  # the later half is given nothing
        "cond_nconsts": of_cond.count(False),
        "body_nconsts": of_body.count(False),
    }


def _split_loop(rule: _Split, trace: Any, *tracers: Any, **params: Any) -> Any:
    """JAX's rule for a `while_loop` that is traced, with a later half that does not log."""
    outputs = rule(trace, *tracers, **params)
    if not _emits(params):
        return outputs

    def later(value: Any) -> bool:
        mine = isinstance(value, partial_eval.JaxprTracer) and value._trace is trace
        return mine and not value.is_known()

    carry = [later(output) for output in outputs]
    if all(carry) or not any(carry):
        return outputs  # there is one half only
    if _emitting_half(params, [later(tracer) for tracer in tracers], carry) is None:
        return outputs
    staged = [output for output in outputs if later(output)]
    loop = staged[0].recipe
    silent = _silent_equation(loop)
    for output in staged:
        assert output.recipe is loop
        output.recipe = silent
    kept = effects.partial_eval_kept_effects.filter_in(silent.effects)
    trace.effect_handles[:] = [
        partial_eval.EffectHandle(handle.parents, silent) if handle.recipe is loop else handle
        for handle in trace.effect_handles
        if handle.recipe is not loop or kept
    ]
    return outputs


def _split_loop_of_jaxpr(rule: _Split, saveable: Any, unknown: Any, inst: Any, eqn: Any) -> Any:
    """JAX's rule for a `while_loop` under `jax.checkpoint`, with a later half that does not log."""
    if not _emits(eqn.params):
        return rule(saveable, unknown, inst, eqn)
    # JAX splits the loop without its emissions: it fails at effects in some of what they may be in.
    split = rule(saveable, unknown, inst, _silent_equation(eqn))
    at_once, later, unknown_carry, *rest = split
    half = None if at_once is None else _emitting_half(eqn.params, unknown, unknown_carry)
    if at_once is None or half is None:
        return rule(saveable, unknown, inst, eqn)
    at_once = at_once.replace(params=half, effects=at_once.effects | {_EFFECT})
    return at_once, later, unknown_carry, *rest


# Where a JAX to come keeps its rules elsewhere, such a loop logs twice, and jaxlog works.
with contextlib.suppress(AttributeError, KeyError):
    for _rules, _rule in (
        (partial_eval.custom_partial_eval_rules, _split_loop),
        (partial_eval.partial_eval_jaxpr_custom_rules, _split_loop_of_jaxpr),
    ):
        _rules[lax.while_p] = partial(_rule, _rules[lax.while_p])


# Where the batch is divided, devices wait for each other at a call. Under a `shard_map` that checks
# what varies, JAX knows which loops and branches each device decides for itself.
def _own_decision(kind: Any) -> frozenset[str]:
    """The axes along which devices may differ in a condition of this type."""
    if hasattr(kind, "vma"):
        return frozenset(kind.vma)  # JAX 0.9
    return frozenset(getattr(getattr(kind, "mat", None), "varying", ()))


def _waited_over(params: Any) -> set[str]:
    """The axes over which something in the programs of an equation is summed."""
    found: set[str] = set()
    for jaxpr in _jaxprs(params):
        for eqn in jaxpr.eqns:
            if eqn.primitive.name.startswith("psum"):
                found |= set(eqn.params["axes"])
            found |= _waited_over(eqn.params)
    return found


def _lower_if_alike(rule: Any, ctx: mlir.LoweringRuleContext, *args: Any, **params: Any) -> Any:
    """JAX's rule for `cond` and `while_loop`, where no device leaves the others waiting."""
    if _emits(params):
        while_condition: Any = params.get("cond_jaxpr")
        if while_condition is None:
            condition: Any = ctx.avals_in[0]
        else:
            condition = while_condition.out_avals[0]
        if axes := _own_decision(condition) & _waited_over(params):
            names = ", ".join(sorted(axes))
            raise ValueError(
                "a call of jaxlog with axis_name= stands in a loop or branch whose condition each "
                f"device decides for itself (it varies over {names}), and devices that do not come "
                "to it would leave the others waiting; log outside of it, a branch with when=, or "
                "make the condition the same everywhere, as in "
                f"jax.lax.psum(condition.astype(int), {names!r}) > 0"
            )
    return rule(ctx, *args, **params)


with contextlib.suppress(AttributeError, KeyError):  # there, the devices would wait
    for _primitive in (lax.cond_p, lax.while_p):
        _entry: Any = lowering._lowerings[_primitive]
        lowering._lowerings[_primitive] = dataclasses.replace(
            _entry, rule=partial(_lower_if_alike, _entry.rule)
        )


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
def _cross_abstract_eval(_: Any) -> tuple[list[Any], set[effects.Effect]]:
    return [], {_EFFECT}


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
