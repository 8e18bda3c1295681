"""The programs of the matrix: one for each thing that JAX can do to a call that logs.

Each is given `log(step, value, **how)`, and logs the value `2 * step` unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

Log = Callable[..., None]
State = tuple[Any, Any]  # Python's numbers at first, which the loop turns into arrays


def plain(log: Log) -> Any:
    for step in range(3):
        log(step, step * 2.0)


def jitted(log: Log) -> Any:
    program = jax.jit(log)
    for step in range(3):
        program(step, step * 2.0)


def without_jit(log: Log) -> Any:
    with jax.disable_jit():
        for step in range(3):
            log(step, step * 2.0)


def _body(log: Log, total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
    log(step, total)
    return total + 2.0, None


def scanned(log: Log, start: Any = 0.0, length: int = 3, **how: Any) -> Any:
    return jax.lax.scan(partial(_body, log), start, jnp.arange(length), **how)[0]


def unrolled(log: Log) -> Any:
    """XLA sees all emissions at once, and runs them in the order it likes."""
    return scanned(log, length=9, unroll=True)


def scanned_in_a_scan(log: Log) -> Any:
    def outer(total: Any, epoch: jax.Array) -> tuple[Any, None]:
        return jax.lax.scan(partial(_body, log), total, 3 * epoch + jnp.arange(3))[0], None

    return jax.lax.scan(outer, 0.0, jnp.arange(2))[0]


def looped(log: Log) -> Any:
    return jax.lax.fori_loop(0, 3, lambda step, total: _body(log, total, step)[0], 0.0)


def _while(log: Log, length: Any, start: Any = 0.0, **how: Any) -> Any:
    def body(state: State) -> State:
        step, total = state
        log(step, total, **{key: value(step) for key, value in how.items()})
        return step + 1, total + 2.0

    return jax.lax.while_loop(lambda state: state[0] < length, body, (0, start))


def looped_while(log: Log) -> Any:
    return _while(log, 3)


def looped_while_that_logs_in_its_condition(log: Log) -> Any:
    """Where the bound is a constant of the program, XLA needs no condition, and drops it."""
    return jax.jit(partial(_while_by_condition, log))(0.0, 2)


def _while_by_condition(log: Log, start: Any, length: Any) -> Any:
    def condition(state: State) -> jax.Array:
        log(*state)
        return state[0] < length

    return jax.lax.while_loop(condition, lambda state: (state[0] + 1, state[1] + 2.0), (0, start))


def branched(log: Log) -> Any:
    def body(_: None, step: jax.Array) -> tuple[None, None]:
        jax.lax.cond(step < 3, lambda: log(step, step.astype(np.float32) * 2), lambda: None)
        return None, None

    return jax.lax.scan(body, None, jnp.arange(5))


def switched(log: Log) -> Any:
    branches = [partial(log, step, 2.0 * step) for step in range(3)]
    return jax.lax.scan(
        lambda _, i: (None, jax.lax.switch(i, [*branches, lambda: None])), None, jnp.arange(5)
    )


def vmapped(log: Log) -> Any:
    """Four lanes, which begin at 0, 1, 2, 3."""
    return jax.vmap(lambda seed: scanned(log, seed))(jnp.arange(4.0))


def vmapped_twice(log: Log) -> Any:
    def outer(a: jax.Array) -> Any:
        return jax.vmap(lambda b: log(0, 10.0 * a + b))(jnp.arange(3.0))

    return jax.vmap(outer)(jnp.arange(2.0))


def vmapped_in_a_scan(log: Log) -> Any:
    def body(totals: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        jax.vmap(lambda total: log(step, total))(totals)
        return totals + 2.0, None

    return jax.lax.scan(body, jnp.arange(4.0), jnp.arange(3))


def vmapped_branch_of_all(log: Log) -> Any:
    """A predicate that all lanes share leaves the branch a branch."""

    def lane(value: jax.Array) -> Any:
        def body(_: None, step: jax.Array) -> tuple[None, None]:
            jax.lax.cond(step == 1, lambda: log(step, value), lambda: None)
            return None, None

        return jax.lax.scan(body, None, jnp.arange(3))

    return jax.vmap(lane)(jnp.arange(4.0))


def vmapped_over_nothing_logged(log: Log) -> Any:
    """What does not differ between lanes is one record, of no lane."""
    return jax.vmap(lambda x: (scanned(log), x))(jnp.arange(4.0))


def vmapped_steps(log: Log) -> Any:
    """Every lane has a counter of its own, and so a gate of its own."""
    return jax.vmap(lambda step: log(step, step.astype(np.float32)))(jnp.arange(8))


def vmapped_condition(log: Log) -> Any:
    """Only the condition differs between the lanes."""
    return jax.vmap(lambda when: log(0, 5.0, when=when))(jnp.array([True, False, True]))


def vmapped_backwards(log: Log) -> Any:
    """Steps of lanes that do not ascend: each is an event of its own, in their order."""
    return jax.vmap(lambda step: log(step, step.astype(np.float32)))(jnp.arange(4)[::-1])


def vmapped_branch(log: Log) -> Any:
    """What the docs say to do where the predicate of a cond differs between lanes."""

    def lane(x: jax.Array) -> jax.Array:
        taken = x > 1.0
        y = jax.lax.cond(taken, lambda x: x + 10.0, lambda x: x, x)
        log(0, y, when=taken)
        return y

    return jax.vmap(lane)(jnp.arange(4.0))


def vmapped_while(log: Log) -> Any:
    """What the docs say to do where a while_loop's lanes end at different times."""
    return jax.vmap(lambda length: _while(log, length, when=lambda step: step < length))(
        jnp.array([1, 3, 2])
    )


def differentiated(log: Log) -> Any:
    return jax.grad(lambda x: scanned(log, x))(0.0)


def differentiated_by_value(log: Log) -> Any:
    return jax.value_and_grad(lambda x: scanned(log, x))(0.0)


def differentiated_forwards(log: Log) -> Any:
    return jax.jvp(lambda x: scanned(log, x), (0.0,), (1.0,))


def linearized(log: Log) -> Any:
    value, linear = jax.linearize(lambda x: scanned(log, x), 0.0)
    return value, linear(1.0), linear(2.0)


def differentiated_twice(log: Log) -> Any:
    def loss(x: jax.Array) -> jax.Array:
        log(0, x)
        return x**3

    return jax.hessian(loss)(0.0)


def differentiated_in_a_scan(log: Log) -> Any:
    """A training loop: each update takes a gradient through what logs."""

    def update(x: Any, step: jax.Array) -> tuple[Any, None]:
        def loss(x: jax.Array) -> jax.Array:
            log(step, x)
            return -2.0 * x

        return x - jax.grad(loss)(x), None

    return jax.lax.scan(update, 0.0, jnp.arange(3))


def differentiated_lanes(log: Log) -> Any:
    return jax.vmap(jax.grad(lambda x: scanned(log, x)))(jnp.arange(4.0))


def differentiated_over_lanes(log: Log) -> Any:
    return jax.grad(lambda xs: jax.vmap(lambda x: scanned(log, x))(xs).sum())(jnp.arange(4.0))


def _doubling(log: Log, x: jax.Array) -> jax.Array:
    for step in range(3):
        log(step, 2.0 * step + jax.lax.stop_gradient(x))
        x = jnp.sin(x)
    return x


def rematerialised(log: Log) -> Any:
    return jax.grad(jax.checkpoint(partial(_doubling, log)))(0.0)


def rematerialised_with_a_policy(log: Log) -> Any:
    policy = jax.checkpoint_policies.everything_saveable
    return jax.grad(jax.checkpoint(partial(_doubling, log), policy=policy))(0.0)


def rematerialised_scan(log: Log) -> Any:
    @jax.checkpoint
    def body(x: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        log(step, x)
        return jnp.sin(x) + 2.0 - jnp.sin(jax.lax.stop_gradient(x)) + x, None

    return jax.grad(lambda x: jax.lax.scan(body, x, jnp.arange(3))[0])(0.0)


def rematerialised_around_a_scan(log: Log) -> Any:
    return jax.grad(jax.checkpoint(lambda x: jnp.sin(scanned(log, x))))(0.0)


# A loop whose end is not known cannot keep what its steps computed, and JAX runs it once more where
# that is needed: the steps are still logged once.


def _beside(x: jax.Array, loop: Callable[[jax.Array], Any]) -> jax.Array:
    """Something to differentiate that needs what a loop computed, but not its derivative."""
    return jnp.cos(x) * loop(jax.lax.stop_gradient(x))[1]


def rematerialised_while(log: Log) -> Any:
    return jax.grad(jax.checkpoint(partial(_beside, loop=partial(_while, log, 3))))(0.0)


def rematerialised_while_of_lanes(log: Log) -> Any:
    gradient = jax.grad(jax.checkpoint(partial(_beside, loop=partial(_while, log, 3))))
    return jax.vmap(gradient)(jnp.arange(4.0))


def rematerialised_while_with_a_policy(log: Log) -> Any:
    policy = jax.checkpoint_policies.dots_saveable
    loss = partial(_beside, loop=partial(_while, log, 3))
    return jax.grad(jax.checkpoint(loss, policy=policy))(0.0)


def rematerialised_while_twice(log: Log) -> Any:
    inner = jax.checkpoint(partial(_beside, loop=partial(_while, log, 3)))
    return jax.grad(jax.checkpoint(lambda x: jnp.sin(inner(x))))(0.0)


def rematerialised_while_by_condition(log: Log) -> Any:
    @jax.checkpoint
    def loss(x: jax.Array, length: int) -> jax.Array:
        return _beside(x, lambda start: _while_by_condition(log, start, length))

    return jax.jit(jax.grad(loss))(0.0, 2)


def rematerialised_count(log: Log) -> Any:
    """A `fori_loop` whose bounds the program is given."""

    @jax.checkpoint
    def loss(x: jax.Array, length: int) -> jax.Array:
        def loop(start: jax.Array) -> State:
            body = lambda step, total: _body(log, total, step)[0]  # noqa: E731
            return start, jax.lax.fori_loop(0, length, body, start)

        return _beside(x, loop)

    return jax.grad(loss)(0.0, 3)


def rematerialised_scan_of_whiles(log: Log) -> Any:
    @jax.checkpoint
    def body(x: jax.Array, epoch: jax.Array) -> tuple[jax.Array, None]:
        def log_inner(step: Any, total: Any) -> None:
            log(3 * epoch + step, 6.0 * epoch.astype(np.float32) + total)

        return x + _beside(x, lambda start: _while(log_inner, 3, 0.0 * start)), None

    return jax.grad(lambda x: jax.lax.scan(body, x, jnp.arange(2))[0])(0.0)


def rematerialised_while_of_custom_derivatives(log: Log) -> Any:
    @jax.custom_jvp
    def add(step: jax.Array, total: jax.Array) -> jax.Array:
        log(step, total)
        return total + 2.0

    @add.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return add(*primals), tangents[1]

    def loop(start: jax.Array) -> State:
        body = lambda state: (state[0] + 1, add(*state))  # noqa: E731
        return jax.lax.while_loop(lambda state: state[0] < 3, body, (0, start))

    return jax.grad(jax.checkpoint(partial(_beside, loop=loop)))(0.0)


def rematerialised_while_in_a_sharded_map(log: Log) -> Any:
    mesh, spec = _mesh(AxisType.Auto, "devices"), PartitionSpec("devices")

    @jax.checkpoint
    def share(x: jax.Array) -> jax.Array:
        loop = partial(_while, partial(log, axis_name="devices"), 3)
        return _beside(x.sum(), loop)[None]

    program = jax.shard_map(share, mesh=mesh, in_specs=spec, out_specs=spec)
    return jax.grad(lambda shares: program(shares).sum())(SHARES)


def rematerialised_while_turned_around_twice(log: Log) -> Any:
    loss = jax.checkpoint(partial(_beside, loop=partial(_while, log, 3)))
    value, backward = jax.vjp(loss, 0.0)
    return value, backward(1.0), backward(2.0)


def rematerialised_while_differentiated_twice(log: Log) -> Any:
    return jax.hessian(jax.checkpoint(partial(_beside, loop=partial(_while, log, 3))))(0.0)


def linearized_while(log: Log) -> Any:
    value, linear = jax.linearize(lambda x: _while(log, 3, x), 0.0)
    return value, linear(1.0), linear(2.0)


def linearized_while_differentiated(log: Log) -> Any:
    _, linear = jax.linearize(lambda x: _while(log, 3, x), 0.0)
    return jax.jvp(linear, (1.0,), (1.0,))


def linearized_while_of_lanes(log: Log) -> Any:
    def lane(x: jax.Array) -> Any:
        value, linear = jax.linearize(lambda x: _while(log, 3, x), x)
        return value, linear(1.0)

    return jax.vmap(lane)(jnp.arange(4.0))


def linearized_while_of_scans(log: Log) -> Any:
    def loop(x: jax.Array) -> jax.Array:
        def body(state: State) -> State:
            steps = 3 * state[0] + jnp.arange(3)
            return state[0] + 1, jax.lax.scan(partial(_body, log), state[1], steps)[0]

        return jax.lax.while_loop(lambda state: state[0] < 2, body, (0, x))[1]

    value, linear = jax.linearize(loop, 0.0)
    return value, linear(1.0)


def linearized_while_of_whiles(log: Log) -> Any:
    def loop(x: jax.Array) -> jax.Array:
        def body(state: State) -> State:
            def log_inner(step: Any, total: Any) -> None:
                jax.lax.cond(step >= 0, lambda: log(3 * state[0] + step, total), lambda: None)

            return state[0] + 1, _while(log_inner, 3, state[1])[1]

        return jax.lax.while_loop(lambda state: state[0] < 2, body, (0, x))[1]

    value, linear = jax.linearize(loop, 0.0)
    return value, linear(1.0)


def linearized_while_of_solutions(log: Log) -> Any:
    def loop(x: jax.Array) -> jax.Array:
        def body(state: State) -> State:
            log(*state)
            solved = jax.scipy.sparse.linalg.cg(lambda x: 2.0 * x, 2.0 * state[1])[0]
            return state[0] + 1, solved + 2.0

        return jax.lax.while_loop(lambda state: state[0] < 3, body, (0, x))[1]

    value, linear = jax.linearize(loop, 0.0)
    return value, linear(1.0)


# Nor can such a loop be differentiated backwards, but a program may have one beside what is.


def while_beside_a_loss(log: Log) -> Any:
    return jax.grad(lambda x: (x**2, _while(log, 3, x)), has_aux=True)(0.0)


def while_beside_a_loss_stopped(log: Log) -> Any:
    return jax.grad(lambda x: jnp.cos(x) * jax.lax.stop_gradient(_while(log, 3, x)[1]))(0.0)


def while_beside_a_loss_counted(log: Log) -> Any:
    """Only the number of steps is used."""
    return jax.grad(lambda x: jnp.sin(x) * _while(log, 3, x)[0])(0.0)


def while_beside_a_loss_by_condition(log: Log) -> Any:
    def loss(x: jax.Array, length: int) -> Any:
        return jnp.cos(x), _while_by_condition(log, x, length)

    return jax.jit(jax.grad(loss, has_aux=True))(0.0, 2)


def while_beside_a_loss_of_lanes(log: Log) -> Any:
    gradient = jax.grad(lambda x: (x**2, _while(log, 3, x)), has_aux=True)
    return jax.vmap(gradient)(jnp.arange(4.0))


def whiles_in_a_scan_beside_a_loss(log: Log) -> Any:
    def loss(x: jax.Array) -> Any:
        def body(x: jax.Array, epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
            def log_inner(step: Any, total: Any) -> None:
                log(3 * epoch + step, 6.0 * epoch.astype(np.float32) + total)

            return jnp.cos(x), _while(log_inner, 3, 0.0 * x)[1]

        return jax.lax.scan(body, x, jnp.arange(2))

    return jax.grad(loss, has_aux=True)(0.0)


def while_with_derivatives_of_its_own(log: Log) -> Any:
    @jax.custom_vjp
    def loop(x: jax.Array) -> jax.Array:
        return _while(log, 3, x)[1]

    loop.defvjp(lambda x: (loop(x), None), lambda _, gradient: (gradient,))
    return jax.grad(jax.checkpoint(lambda x: jnp.sin(loop(x))))(0.0)


def while_with_a_tangent_of_its_own(log: Log) -> Any:
    @jax.custom_jvp
    def loop(x: jax.Array) -> jax.Array:
        return _while(log, 3, x)[1]

    loop.defjvp(lambda primals, tangents: (loop(*primals), tangents[0]))
    return jax.grad(jax.checkpoint(lambda x: jnp.sin(loop(x))))(0.0)


def custom_derivatives(log: Log) -> Any:
    @jax.custom_vjp
    def first(x: jax.Array) -> jax.Array:
        log(0, x)
        return x

    first.defvjp(lambda x: (first(x), None), lambda _, g: (g,))

    @jax.custom_jvp
    def second(x: jax.Array) -> jax.Array:
        log(1, x + 2.0)
        return x

    second.defjvp(lambda primals, tangents: (second(*primals), tangents[0]))
    return jax.grad(lambda x: second(first(x)))(0.0)


def custom_derivatives_rematerialised(log: Log) -> Any:
    @partial(jax.custom_vjp)
    def double(x: jax.Array) -> jax.Array:
        return 2.0 * x

    def forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        log(0, x)
        return 2.0 * x, jnp.cos(x)  # where nothing of this is used, JAX does not compute it

    double.defvjp(forward, lambda kept, g: (2.0 * g + 0.0 * kept,), optimize_remat=True)
    return jax.grad(double)(0.0)


def cotangent(log: Log) -> Any:
    """The way to log a gradient as it flows back."""

    @jax.custom_vjp
    def watched(x: jax.Array) -> jax.Array:
        return x

    def backward(_: None, g: jax.Array) -> tuple[jax.Array]:
        log(0, g)
        return (g,)

    watched.defvjp(lambda x: (x, None), backward)
    return jax.grad(lambda x: 3.0 * watched(x))(0.0)


def _mesh(kind: AxisType, *axes: str) -> jax.sharding.Mesh:
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return jax.make_mesh((4,) if len(axes) == 1 else (2, 2), axes, axis_types=(kind,) * len(axes))


SHARES = jnp.array([-3.0, -1.0, 1.0, 3.0])  # added to the value, they do not change the mean


def sharded_map(log: Log, *axes: str, **how: Any) -> Any:
    mesh = _mesh(AxisType.Auto, *(axes or ("devices",)))
    spec = PartitionSpec(mesh.axis_names)

    def share(x: jax.Array) -> jax.Array:
        return scanned(lambda step, value: log(step, value, axis_name=mesh.axis_names), x.sum())

    replicated = {"check_vma": False, "out_specs": spec, "in_specs": spec} | how
    return jax.shard_map(lambda x: share(x)[None], mesh=mesh, **replicated)(SHARES)


def sharded_map_that_is_tracked(log: Log) -> Any:
    return sharded_map(log, check_vma=True)


def sharded_map_over_two_axes(log: Log) -> Any:
    return sharded_map(log, "data", "model", check_vma=True)


def sharded_map_over_one_of_two(log: Log) -> Any:
    """Along the other axis all devices have the same."""
    mesh, spec = _mesh(AxisType.Auto, "data", "model"), PartitionSpec("data")

    def share(x: jax.Array) -> jax.Array:
        def log_all(step: Any, value: Any) -> None:
            log(step, value, axis_name=("data", "model"))

        return scanned(log_all, x.sum())[None]

    shares = jnp.array([-1.0, 1.0])
    return jax.shard_map(share, mesh=mesh, in_specs=spec, out_specs=spec)(shares)


def sharded_map_of_lanes(log: Log) -> Any:
    mesh, spec = _mesh(AxisType.Auto, "devices"), PartitionSpec("devices")

    def share(x: jax.Array) -> jax.Array:
        def lane(seed: jax.Array) -> jax.Array:
            return scanned(partial(log, axis_name="devices"), seed + x.sum())

        return jax.vmap(lane)(jnp.arange(4.0)).sum()[None]

    return jax.shard_map(share, mesh=mesh, in_specs=spec, out_specs=spec)(SHARES)


def lanes_of_sharded_maps(log: Log) -> Any:
    mesh, spec = _mesh(AxisType.Auto, "devices"), PartitionSpec("devices")

    def share(x: jax.Array) -> jax.Array:
        return scanned(partial(log, axis_name="devices"), x.sum())[None]

    program = jax.shard_map(share, mesh=mesh, in_specs=spec, out_specs=spec)
    return jax.vmap(program)(jnp.stack([SHARES + seed for seed in range(4)]))


def differentiated_sharded_map(log: Log) -> Any:
    return jax.grad(lambda scale: (scale * sharded_map(log)).sum())(1.0)


def pmapped(log: Log) -> Any:
    _mesh(AxisType.Auto, "devices")
    share = partial(scanned, partial(log, axis_name="devices"))
    return jax.pmap(share, axis_name="devices")(SHARES)


def named_vmap(log: Log) -> Any:
    """Lanes that are parts of one batch."""
    return jax.vmap(partial(scanned, partial(log, axis_name="parts")), axis_name="parts")(SHARES)


def _mean_of_shares(log: Log) -> Callable[[jax.Array], Any]:
    def program(shares: jax.Array) -> Any:
        return scanned(lambda step, value: log(step, value.mean()), shares)

    return program


def sharded_arrays(log: Log) -> Any:
    where = NamedSharding(_mesh(AxisType.Auto, "devices"), PartitionSpec("devices"))
    return jax.jit(_mean_of_shares(log))(jax.device_put(SHARES, where))


def sharded_arrays_of_explicit_axes(log: Log) -> Any:
    with jax.set_mesh(_mesh(AxisType.Explicit, "devices")):
        shares = jax.device_put(SHARES, PartitionSpec("devices"))
        return jax.jit(_mean_of_shares(log))(shares)


def sharded_lanes(log: Log) -> Any:
    where = NamedSharding(_mesh(AxisType.Auto, "devices"), PartitionSpec("devices"))
    seeds = jax.device_put(jnp.arange(4.0), where)
    return jax.jit(jax.vmap(partial(scanned, log)))(seeds)


def sharded_lanes_of_explicit_axes(log: Log) -> Any:
    with jax.set_mesh(_mesh(AxisType.Explicit, "devices")):
        seeds = jax.device_put(jnp.arange(4.0), PartitionSpec("devices"))
        return jax.jit(jax.vmap(partial(scanned, log)))(seeds)


def sharded_lanes_that_bring_their_mesh(log: Log) -> Any:
    """Explicit axes, and no `jax.set_mesh`: what `jax.make_mesh` and `device_put` give."""
    where = NamedSharding(_mesh(AxisType.Explicit, "devices"), PartitionSpec("devices"))
    seeds = jax.device_put(jnp.arange(4.0), where)
    return jax.jit(jax.vmap(partial(scanned, log)))(seeds)


def sharded_arrays_that_bring_their_mesh(log: Log) -> Any:
    where = NamedSharding(_mesh(AxisType.Explicit, "devices"), PartitionSpec("devices"))
    return jax.jit(_mean_of_shares(log))(jax.device_put(SHARES, where))


def sharded_lanes_by_name(log: Log) -> Any:
    with jax.set_mesh(_mesh(AxisType.Auto, "devices")):
        lanes = jax.vmap(partial(scanned, log), spmd_axis_name="devices")
        return jax.jit(lanes)(jnp.arange(4.0))


def _counter() -> tuple[Any, Any]:
    nnx = pytest.importorskip("flax.nnx")

    class Counter(nnx.Module):
        def __init__(self, start: Any) -> None:
            self.total = nnx.Param(jnp.asarray(start, np.float32))

    return nnx, Counter


def _counted(log: Log, model: Any, step: Any) -> None:
    log(step, model.total[...])
    model.total[...] += 2.0


def nnx_jitted(log: Log) -> Any:
    nnx, counter = _counter()
    model = counter(0.0)
    program = nnx.jit(lambda model, step: _counted(log, model, step))
    for step in range(3):
        program(model, step)


def nnx_scanned(log: Log) -> Any:
    nnx, counter = _counter()

    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
    def program(model: Any, step: jax.Array) -> Any:
        _counted(log, model, step)
        return model

    program(counter(0.0), jnp.arange(3))


def nnx_vmapped(log: Log) -> Any:
    nnx, counter = _counter()

    @nnx.vmap
    def program(model: Any) -> None:
        for step in range(3):
            _counted(log, model, step)

    program(nnx.vmap(counter)(jnp.arange(4.0)))


def nnx_differentiated(log: Log) -> Any:
    nnx, counter = _counter()
    model = counter(0.0)

    @nnx.grad
    def gradient(model: Any, step: Any) -> Any:
        log(step, model.total[...])
        return model.total[...] ** 2

    for step in range(3):
        gradient(model, step)
        model.total[...] += 2.0


def nnx_rematerialised(log: Log) -> Any:
    nnx, counter = _counter()

    @nnx.remat
    def layer(model: Any, step: Any) -> Any:
        log(step, jax.lax.stop_gradient(model.total[...]))
        return jnp.sin(model.total[...])

    model = counter(0.0)
    for step in range(3):
        nnx.grad(layer)(model, step)
        model.total[...] += 2.0
