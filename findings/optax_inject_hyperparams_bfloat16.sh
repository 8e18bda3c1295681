#!/usr/bin/env bash
# With bfloat16 parameters, `optax.inject_hyperparams` makes Adam's b2 of 0.999 a 1: Adam gives NaN, Yogi stands still.
#
# `inject_hyperparams` is how a learning rate is put where it can be read for a log, and changed. Without
# `hyperparam_dtype` it rounds each number of the optimizer to the dtype of the parameters, and bfloat16 has no number
# between 0.996 and 1. With b2 = 1 the second moment never sees a gradient: Adam, AdamW, NAdam and LAMB divide zero by
# zero in their first update, AdaBelief and Yogi leave the parameters as they are, without any NaN. The same optimizers
# learn without the wrapper.
#
# By the documentation, floats are cast if `hyperparam_dtype` is given. They are cast without it, too; float32 avoids it.
#
# Seen with Optax 0.2.8 and JAX 0.10.2; JAX 0.12.0.1 gives the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "optax==0.2.8" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jax.numpy as jnp
import optax


def losses(optimizer, parameters):
    """The first loss, and the one after fifty updates."""

    def loss(parameters):
        return sum(jnp.sum(jnp.square(leaf - 1)) for leaf in jax.tree.leaves(parameters)).astype(jnp.float32)

    @jax.jit
    def update(parameters, state):
        value, gradients = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, value

    state, values = optimizer.init(parameters), []
    for _ in range(51):
        parameters, state, value = update(parameters, state)
        values.append(value)
    return f"{values[0]:.1f} to {values[-1]:.1f}"


def injected(make, **settings):
    return optax.inject_hyperparams(make, **settings)(learning_rate=0.01)


halves = {"kernel": jnp.zeros(4, jnp.bfloat16)}
print("b2 is", float(injected(optax.adam).init(halves).hyperparams["b2"]))
for name in ("adam", "adamw", "nadam", "lamb", "adabelief", "yogi"):
    make = getattr(optax, name)
    wide = injected(make, hyperparam_dtype=jnp.float32)
    learns = [losses(optimizer, halves) for optimizer in (make(0.01), wide, injected(make))]
    print("{}: {}; injected as float32: {}; injected: {}".format(name, *learns))
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" | tee "$folder/out"
grep -qx "b2 is 1.0" "$folder/out"
for optimizer in adam adamw nadam lamb; do
    grep -q "^$optimizer: 4.0 to [0-9.]*; .*; injected: 4.0 to nan$" "$folder/out"
done
for optimizer in adabelief yogi; do
    grep -q "^$optimizer: 4.0 to [01].*; .* 4.0 to [01].*; injected: 4.0 to 4.0$" "$folder/out"
done
