#!/usr/bin/env bash
# Two environments of Jumanji do not follow their own specs.
#
# `observation_spec.validate` and `discount_spec.validate` are how a program finds out that an environment is what
# it says. They refuse
# - the first observation of TSP-v1: the position of a salesman who has visited no city is -1, and the spec says 0
#   to 19. A one-hot code or an index by the position is wrong at the first step, and JAX raises no error there;
# - each discount of SearchAndRescue-v0: it has one for each of the two agents, and the spec says a scalar. Where
#   programs take `discount` or `last()` for one flag of an environment, its episodes get a wrong shape.
#
# Seen with Jumanji 1.1.2 and JAX 0.10.2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "jumanji==1.1.2" "jax==0.10.2"
cat > "$folder/program.py" <<'PROGRAM'
import jax
import jumanji

for name in ("TSP-v1", "SearchAndRescue-v0", "Snake-v1"):
    env = jumanji.make(name)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    _, second = jax.jit(env.step)(state, env.action_spec.generate_value())
    for what, spec, value in (
        ("first observation", env.observation_spec, first.observation),
        ("discount", env.discount_spec, second.discount),
    ):
        try:
            spec.validate(value)
            print(f"{name}: {what}: valid")
        except ValueError as error:
            print(f"{name}: {what}: {error}")
PROGRAM
"$folder/venv/bin/python" "$folder/program.py" 2> "$folder/errors" | tee "$folder/out"
grep -q "TSP-v1: first observation: Values were not all within bounds .*(0, dtype=int32) <= .*(-1, dtype=int32)" "$folder/out"
grep -q "SearchAndRescue-v0: discount: Expected shape () but found (2,)" "$folder/out"
test "$(grep -c ": valid" "$folder/out")" = 4
