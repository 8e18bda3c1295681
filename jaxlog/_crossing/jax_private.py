"""All that jaxlog needs of JAX and that has no public name.

What a primitive with an effect of its own may be inside of (loops, branches, `jax.checkpoint`,
custom derivatives, partial evaluation) is decided by sets of effects, in `jax._src.effects`, and
JAX publishes only one of them.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Literal

from jax._src import core  # whether JAX is tracing has no public name
from jax._src import effects as effects  # nor have the sets of allowed effects
from jax._src.interpreters import mlir as mlir  # nor the rules that lower loops and branches
from jax._src.interpreters import partial_eval as partial_eval  # nor those that split a program
from jax._src.lax.control_flow import conditionals  # nor whether it is tracing a branch


class EmitEffect(effects.Effect):
    """Marks a program that emits records, so that nothing removes or repeats the emission."""

    __str__ = __repr__ = lambda _: "JaxlogEmit"  # pyright: ignore[reportAssignmentType]


EFFECT = EmitEffect()
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


def in_linear_transpose() -> bool:
    """Whether `jax.linear_transpose` calls, and not `grad`: the solvers of linear systems do it.

    Both turn a program around in the same way: only who began it tells them apart.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_qualname == "linear_transpose.<locals>.transposed_fun":
            return True
        frame = frame.f_back
    return False


def callback_around(frame: FrameType | None) -> Literal["ours", "another"] | None:
    """Returns whose callback of a compiled program a frame is in; None if it is in none."""
    while frame is not None:
        if frame.f_code.co_name == "_wrapped_callback" and "jax" in frame.f_code.co_filename:
            modules = {getattr(value, "__module__", None) for value in frame.f_locals.values()}
            return "ours" if f"{__package__}.primitive" in modules else "another"
        frame = frame.f_back
    return None
