"""Wrappers of JAX's rules for loops and branches, for those that log."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
from jax import lax
from jax.interpreters import mlir

from jaxlog._crossing.jax_private import EFFECT, effects, partial_eval
from jaxlog._crossing.jax_private import mlir as lowering
from jaxlog._crossing.primitive import emit_p

# To differentiate a program, JAX splits it into a half that is computed at once and a half that the
# backward pass, or the function of `jax.linearize`, computes later. A `while_loop` does not save
# the results of its steps, so the later half contains a copy of the whole loop. That copy would log
# each step again; and because of its effect, JAX would keep even an unused copy, which `grad`
# cannot transpose.
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
    """Returns a copy of a program with changed fields. Before JAX 0.12 a wrapper may hold it."""
    bare = getattr(jaxpr, "jaxpr", jaxpr)
    if bare is jaxpr:
        return jaxpr.replace(**changed)
    return jaxpr.replace(jaxpr=bare.replace(**changed))


def _emits(params: Any) -> bool:
    return any(EFFECT in jaxpr.effects for jaxpr in _jaxprs(params))


def _num_emissions(params: Any) -> int:
    found = 0
    for jaxpr in _jaxprs(params):
        for eqn in jaxpr.eqns:
            found += eqn.primitive is emit_p
            found += _num_emissions(eqn.params) if EFFECT in eqn.effects else 0
    return found


def _silent(value: Any) -> Any:
    """Removes the emissions from a program, or from several; returns other values as they are."""
    if _is_jaxpr(value):
        if EFFECT not in value.effects:
            return value
        eqns = [
            _silent_equation(eqn) if EFFECT in eqn.effects else eqn
            for eqn in value.eqns
            if eqn.primitive is not emit_p
        ]
        return _replace(value, eqns=eqns, effects=value.effects - {EFFECT})
    if isinstance(value, tuple | list) and any(True for _ in _jaxprs(value)):
        return jax.tree.map(_silent, value, is_leaf=_is_jaxpr)
    return value


def _silent_equation(eqn: Any) -> Any:
    """Removes the emissions from the programs of an equation or of the recipe of one."""
    params = {key: _silent(value) for key, value in eqn.params.items()}
    changed = {"params": params, "effects": eqn.effects - {EFFECT}}
    return eqn._replace(**changed) if hasattr(eqn, "_replace") else eqn.replace(**changed)


def _emitting_half(
    params: dict[str, Any], unknown: Sequence[bool], unknown_carry: Sequence[bool]
) -> dict[str, Any] | None:
    """The half of a loop that is computed at once; None if it lacks some of the emissions."""
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
        "body_jaxpr": _replace(body, outvars=outputs),  # without results for the later half
        "cond_nconsts": of_cond.count(False),
        "body_nconsts": of_body.count(False),
    }


def _split_loop(rule: _Split, trace: Any, *tracers: Any, **params: Any) -> Any:
    """Applies JAX's rule for a `while_loop` that is being traced, and silences the later half."""
    outputs = rule(trace, *tracers, **params)
    if not _emits(params):
        return outputs

    def later(value: Any) -> bool:
        mine = isinstance(value, partial_eval.JaxprTracer) and value._trace is trace
        return mine and not value.is_known()

    carry = [later(output) for output in outputs]
    if all(carry) or not any(carry):
        return outputs  # the loop was not split
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
    """Applies JAX's rule for a `while_loop` under `jax.checkpoint`, and silences the later half."""
    if not _emits(eqn.params):
        return rule(saveable, unknown, inst, eqn)
    # JAX gets the loop without its emissions, because this rule fails on some of their effects.
    split = rule(saveable, unknown, inst, _silent_equation(eqn))
    at_once, later, unknown_carry, *rest = split
    half = None if at_once is None else _emitting_half(eqn.params, unknown, unknown_carry)
    if at_once is None or half is None:
        return rule(saveable, unknown, inst, eqn)
    at_once = at_once.replace(params=half, effects=at_once.effects | {EFFECT})
    return at_once, later, unknown_carry, *rest


# If a later JAX keeps its rules elsewhere, such a loop logs twice, and all else works.
with contextlib.suppress(AttributeError, KeyError):
    for _rules, _rule in (
        (partial_eval.custom_partial_eval_rules, _split_loop),
        (partial_eval.partial_eval_jaxpr_custom_rules, _split_loop_of_jaxpr),
    ):
        _rules[lax.while_p] = partial(_rule, _rules[lax.while_p])


# Devices that share a divided batch wait for each other at a call. Under a `shard_map` that checks
# which values vary, JAX knows the loops and branches that each device decides on its own.
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
    """Applies JAX's rule for `cond` and `while_loop`; refuses one where devices would deadlock."""
    if _emits(params):
        while_condition: Any = params.get("cond_jaxpr")
        if while_condition is None:
            condition: Any = ctx.avals_in[0]
        else:
            condition = while_condition.out_avals[0]
        if axes := _own_decision(condition) & _waited_over(params):
            names = ", ".join(sorted(axes))
            raise ValueError(
                "a call of jaxlog with axis_name= is in a loop or branch whose condition may "
                f"differ between devices (it varies over {names}), where devices that skip the "
                "call would leave the others waiting; log outside of it, for a branch with when=, "
                "or make the condition the same everywhere, as in "
                f"jax.lax.psum(condition.astype(int), {names!r}) > 0"
            )
    return rule(ctx, *args, **params)


with contextlib.suppress(AttributeError, KeyError):  # a later JAX: without the error
    for _primitive in (lax.cond_p, lax.while_p):
        _entry: Any = lowering._lowerings[_primitive]
        lowering._lowerings[_primitive] = dataclasses.replace(
            _entry, rule=partial(_lower_if_alike, _entry.rule)
        )
