"""The private parts of JAX that jaxlog uses; no other module imports any.

JAX keeps sets of the effects that loops, branches, `jax.checkpoint`, custom derivatives and partial
evaluation allow, in `jax._src.effects`, and only one of these sets has a public name.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from types import FrameType
from typing import Any, Literal

from jax._src import (
    callback,  # its logger
    core,  # whether JAX is tracing
    dispatch,  # the tokens that jax.effects_barrier waits for
    distributed,  # the client of jax.distributed, with its store of texts
)
from jax._src import config as config  # the source of its flags
from jax._src import effects as effects  # the sets of allowed effects
from jax._src.interpreters import mlir as mlir  # the rules that lower loops and branches
from jax._src.interpreters import partial_eval as partial_eval  # the rules that split a program
from jax._src.lax.control_flow import conditionals  # whether JAX is tracing a branch


class EmitEffect(effects.Effect):
    """Marks a program that emits records, so that JAX neither removes nor repeats the emission."""

    __str__ = __repr__ = lambda _: "JaxlogEmit"  # pyright: ignore[reportAssignmentType]


EFFECT = EmitEffect()
for _allowed in (
    effects.lowerable_effects,
    effects.control_flow_allowed_effects,
    effects.custom_derivatives_allowed_effects,
    effects.remat_allowed_effects,
    # Without this one, the gradient of a scan that emits would silently drop the emissions.
    effects.partial_eval_kept_effects,
):
    _allowed.add_type(EmitEffect)


def coordination_client() -> Any:
    """The client of the service with which `jax.distributed` connects processes; None without."""
    return distributed.global_state.client


def tracing() -> bool:
    """True while JAX traces a program."""
    return not core.trace_state_clean()


def in_branch() -> bool:
    """True while JAX traces a branch of a `cond` or `switch`.

    The tracers do not show it, because a jitted function inside the branch has its own trace. The
    frames of the call stack do.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == conditionals.__name__:
            return True
        frame = frame.f_back
    return False


def forget_failed_programs() -> None:
    """Waits for the programs that `jax.effects_barrier` waits for, and forgets those that failed.

    JAX keeps them otherwise, and raises their errors again when Python ends.
    """
    with contextlib.suppress(AttributeError):
        tokens = dispatch.runtime_tokens.output_runtime_tokens
        for device, token in list(tokens.items()):
            try:
                token.block_until_ready()
            except Exception:
                tokens.pop(device, None)


def log_no_interrupts() -> None:
    """Has JAX not log Ctrl-C in a callback as an error, before the user gets KeyboardInterrupt."""
    callback.logger.addFilter(_is_no_interrupt)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], KeyboardInterrupt))


def in_linear_transpose() -> bool:
    """True under `jax.linear_transpose`, which solvers of linear systems call; False under `grad`.

    Both transpose a program by the same rules; only the frames of the call stack differ.
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
