"""Checks of the arguments of `empty_recorder`, `record_step` and `log_episodes`.

They are made while the program is traced, and add nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxlog._crossing import packing
from jaxlog._environments import renderers
from jaxlog._format.recording import MAX_RECORDING_BYTES
from jaxlog._program import checks
from jaxlog._program.array_like import ARRAYS
from jaxlog._program.recorder import EpisodeRecorder, RecorderSpec
from jaxlog._text import counted


def recorder(value: Any) -> None:
    """Checks that a recorder was given."""
    if not isinstance(value, EpisodeRecorder):
        raise TypeError(
            f"recorder: got {type(value).__name__}, expected what empty_recorder, record_step "
            "or log_episodes returned"
        )


def number(argument: str, value: Any) -> None:
    """Checks a number of episodes, steps or environments."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{argument}: got {value!r:.60}, expected a Python int")
    if not 1 <= value < 2**31:
        raise ValueError(f"{argument}: got {value}, expected 1 to 2**31 - 1")


def renderer(name: Any) -> None:
    """Checks the name of a renderer of environments."""
    try:
        renderers.checked(name)
    except ValueError as error:
        raise ValueError(f"renderer: {error}") from None


def shape(given: Any, leaves: Mapping[str, ArrayLike]) -> tuple[int, ...]:
    """The shape of the environments; all arrays begin with it."""
    if given is None:
        if not leaves:
            raise ValueError("values: has no arrays; give shape=, the number of environments")
        first = np.shape(next(iter(leaves.values())))
        if not first:
            key = next(iter(leaves))
            raise ValueError(
                f"values[{key!r}]: got a scalar, expected an array [*envs, ...]; give shape=() for "
                "one environment without an axis"
            )
        given = first[:1]
    sizes = (given,) if isinstance(given, int | np.integer) else tuple(given)
    for one in sizes:
        number("shape", one)
    envs = tuple(map(int, sizes))
    for key, value in leaves.items():
        if np.shape(value)[: len(envs)] != envs:
            raise ValueError(
                f"values[{key!r}]: got shape {np.shape(value)}, expected one that begins with "
                f"{envs}, the environments; leave out what they share, or give shape="
            )
    return envs


def environments(indices: Any, envs: tuple[int, ...]) -> jax.Array:
    """Checks the environments to follow; returns their indices as int32."""
    given = jnp.asarray(indices)
    if given.ndim != 1 or not given.size or not jnp.issubdtype(given.dtype, np.integer):
        raise TypeError(
            f"environments: got {jax.typeof(given).str_short()}, expected int[k], as "
            "sample_indices returns"
        )
    num_envs = int(np.prod(envs))
    if not isinstance(given, Tracer):
        low, high = int(given.min()), int(given.max())
        if low < 0 or high >= num_envs:
            raise ValueError(
                f"environments: got {low if low < 0 else high}, expected 0 to {num_envs - 1}, the "
                "index of an environment"
            )
    return jnp.clip(given, 0, num_envs - 1).astype(np.int32)


def size(spec: RecorderSpec) -> None:
    """Checks that the episodes of one record are not too large."""
    layout, slots = spec.layout, spec.num_slots
    of_step = 4 * layout.num_words
    total = slots * layout.max_steps * of_step
    if total > MAX_RECORDING_BYTES:
        largest = max(layout.fields, key=lambda field: field.num_words)
        fits = MAX_RECORDING_BYTES // (slots * of_step)
        raise ValueError(
            f"empty_recorder: got {counted(slots, 'episode')} of "
            f"{counted(layout.max_steps, 'step')} of {of_step:,} bytes, {total:,} bytes, expected "
            f"at most {MAX_RECORDING_BYTES:,} in one record; give max_steps={fits} or less, fewer "
            f"num_episodes, or leave out large arrays (the largest is {largest.path[-1]!r}, "
            f"{4 * largest.num_words:,} bytes a step)"
        )


def values(spec: RecorderSpec, tree: Any) -> dict[str, Any]:
    """The leaves of what is recorded, by path, checked against the recorder."""
    leaves = {key: jnp.asarray(leaf) for key, leaf in checks.details(tree, "values").items()}
    expected = {field.path[1]: field for field in spec.layout.fields if len(field.path) == 2}
    problems = [f"{key} is missing" for key in expected if key not in leaves]
    problems += [f"{key} is new" for key in leaves if key not in expected]
    for key, leaf in leaves.items():
        if key not in expected:
            continue
        of_all = (*spec.shape, *expected[key].shape)
        own = jax.eval_shape(packing.host_array, leaf)
        if own.shape != of_all or own.dtype != expected[key].dtype:
            problems.append(
                f"{key} is {own.dtype.name}{list(own.shape)}, expected "
                f"{expected[key].dtype.name}{list(of_all)}"
            )
    if not problems and jax.tree.structure(tree) != spec.structure:
        problems.append(f"its structure is {jax.tree.structure(tree)}, not {spec.structure}")
    if problems:
        raise ValueError(
            f"values: differ from those of the recorder: {'; '.join(problems)}; give "
            "empty_recorder what record_step is given"
        )
    return leaves


def flags(
    spec: RecorderSpec,
    reward: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike | None,
    first: ArrayLike | None,
) -> dict[str, jax.Array]:
    """Checks the reward and the flags of a step; returns those that were given, by name."""
    several = {"terminated": terminated, "truncated": truncated, "first": first}
    given = {"reward": reward} | {key: flag for key, flag in several.items() if flag is not None}
    found: dict[str, jax.Array] = {}
    for key, value in given.items():
        if not isinstance(value, ARRAYS) and not hasattr(value, "__jax_array__"):
            raise TypeError(
                f"{key}: got {type(value).__name__}, expected an array of the shape {spec.shape}"
            )
        found[key] = jnp.asarray(value)
        if found[key].shape != spec.shape:
            raise ValueError(
                f"{key}: got shape {found[key].shape}, expected {spec.shape}, that of the "
                "recorder; give empty_recorder the shape of the environments"
            )
        if key != "reward" and found[key].dtype != np.bool_:
            raise TypeError(f"{key}: got {found[key].dtype}, expected bool, like `done > 0`")
    real = jnp.issubdtype(found["reward"].dtype, np.number) or found["reward"].dtype == np.bool_
    if not real or jnp.issubdtype(found["reward"].dtype, np.complexfloating):
        raise TypeError(f"reward: got {found['reward'].dtype}, expected real numbers")
    return found
