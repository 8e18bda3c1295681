"""What docs/guides/migrating.md says of JAX's own callbacks: the reasons for jaxlog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import io_callback

Call = Callable[[jax.Array], None]
STEPS = 5


def scanned(call: Call, x: jax.typing.ArrayLike) -> jax.Array:
    def body(x: Any, _: None) -> tuple[Any, None]:
        call(jax.lax.stop_gradient(x))
        return jnp.sin(x), None

    return jax.lax.scan(body, x, length=STEPS)[0]


def vmapped(call: Call) -> Any:
    return jax.vmap(lambda x: scanned(call, x))(jnp.arange(4.0))


def vmapped_branch(call: Call) -> Any:
    """Of four lanes, two take it."""
    return jax.vmap(lambda x: jax.lax.cond(x > 1.0, call, lambda _: None, x))(jnp.arange(4.0))


def differentiated(call: Call) -> Any:
    return jax.grad(lambda x: scanned(call, x))(0.3)


def differentiated_itself(call: Call) -> Any:
    def loss(x: jax.Array) -> jax.Array:
        call(x)
        return jnp.sin(x)

    return jax.grad(loss)(0.3)


def rematerialised(call: Call) -> Any:
    def loss(x: jax.Array) -> jax.Array:
        call(jax.lax.stop_gradient(x))
        return jnp.sin(jnp.sin(x))

    return jax.grad(jax.checkpoint(loss))(0.3)


@pytest.mark.parametrize(
    ("program", "io", "debug"),
    [
        (lambda call: scanned(call, 0.3), STEPS, STEPS),
        (vmapped, 4 * STEPS, 4 * STEPS),
        (vmapped_branch, "IO effect not supported in vmap-of-cond", 4),
        (differentiated, 0, STEPS),
        (differentiated_itself, "IO callbacks do not support JVP", 1),
        (rematerialised, r"Effects not supported in .* of `checkpoint`", 2),
    ],
)
def test_plain_callbacks_do_what_the_guide_says(
    program: Callable[[Call], Any], io: int | str, debug: int
) -> None:
    assert calls(program, lambda seen, x: jax.debug.callback(seen, x)) == debug
    if isinstance(io, int):
        assert calls(program, lambda seen, x: io_callback(seen, None, x)) == io
    else:
        with pytest.raises((NotImplementedError, ValueError), match=io):
            calls(program, lambda seen, x: io_callback(seen, None, x))


def calls(program: Callable[[Call], Any], callback: Callable[..., None]) -> int:
    """How often the host is called."""
    seen: list[Any] = []
    jax.block_until_ready(jax.jit(lambda: program(lambda x: callback(seen.append, x)))())
    jax.effects_barrier()
    return len(seen)
