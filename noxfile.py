"""The tests on the oldest and the newest JAX that jaxlog supports: `make versions`.

A Python that is not there is named, and its session skipped.
"""

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
TESTS = (
    "tests/crossing",
    "tests/graph",
    "tests/host",
    "tests/test_log.py",
    "tests/test_single_environment.py",
    "tests/test_step.py",
)


def needed(extra: str, *names: str) -> list[str]:
    """Some requirements of an extra, as pyproject.toml has them."""
    found = [r for r in PROJECT["optional-dependencies"][extra] if r.split(">")[0] in names]
    assert len(found) == len(names), (found, names)
    return found


REQUIREMENTS = [
    *PROJECT["dependencies"],
    *needed("demo", "flax"),
    *needed("dev", "hypothesis", "pytest", "pytest-timeout"),
]


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """JAX 0.9, and everything else at its lower bound."""
    requirements = [*REQUIREMENTS, *needed("explore", "polars", "matplotlib")]
    session.install("-e", ".", *(r.replace(">=", "==") for r in requirements))
    # Of the newest, reading and plotting are tried by `make test`: JAX has no part in them.
    test(session, "tests/explore")


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """The newest of everything."""
    session.install("-e", ".", *REQUIREMENTS)
    test(session)


def test(session: nox.Session, *more: str) -> None:
    """Runs what touches JAX, and more."""
    session.run("python", "-c", "import jax; print('JAX', jax.__version__)")
    # Numbers were tried at length by `make test`; what may differ here is what JAX does with them.
    few = {"HYPOTHESIS_PROFILE": "few"}
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, *more, env=few)
