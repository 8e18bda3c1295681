"""What runs in environments of its own: the tests on other versions of JAX, and releases.

Make has a command for each session. A Python that is not there is named, and its session skipped.
"""

import runpy
import shutil
import tarfile
import tempfile
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
VENDORED = runpy.run_path("jaxlog/_page/vendored.py")["FILES"].values()
NUMBERS = "tests/program/test_statistics.py"
TESTS = (
    "tests/crossing",
    "tests/program",
    "tests/host",
    "tests/test_arrays.py",
    "tests/test_from_info.py",
    "tests/test_log.py",
    "tests/test_recording.py",
    "tests/test_schedule.py",
    "tests/test_single_environment.py",
    "tests/test_step.py",
    "tests/test_values.py",
    "tests/test_windows.py",
)


UNOPTIMIZED = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
"""XLA's flags for tests that look at what is logged, not at the last bit of a number."""


def needed(extra: str, *names: str) -> list[str]:
    """Some requirements of an extra, as pyproject.toml has them."""
    found = [r for r in PROJECT["optional-dependencies"][extra] if r.split(">")[0] in names]
    assert len(found) == len(names), (found, names)
    return found


REQUIREMENTS = [
    *PROJECT["dependencies"],
    *needed("demo", "flax"),
    *needed("explore", "jinja2", "polars", "matplotlib"),
    *needed("tensorboard", "tensorboardX", "crc32c"),
    *needed("arrow", "pyarrow"),
    *needed("dev", "beartype", "chex", "hypothesis", "jaxtyping"),
    *needed("dev", "omegaconf", "pytest", "pytest-timeout", "scipy"),
]


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """JAX 0.9, and everything else at its lower bound."""
    # Not to compile what no test imports halves the time of an installation.
    session.install("--no-compile", *(r.replace(">=", "==") for r in REQUIREMENTS))
    quickly = f"{UNOPTIMIZED} --xla_cpu_use_fusion_emitters=false"  # as `make test`
    # Of the newest, reading and plotting are tried by `make test`: JAX has no part in them.
    test(session, *(session.posargs or (*TESTS, "tests/reading", "tests/analysis")), flags=quickly)


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """The newest of everything."""
    session.install("--no-compile", *REQUIREMENTS)
    if not session.posargs:
        test(session, NUMBERS, flags="")  # compiled as users have it
    test(session, *(session.posargs or TESTS), flags=UNOPTIMIZED)


def test(session: nox.Session, *tests: str, flags: str) -> None:
    """Runs tests with these flags of XLA, on the modules here and what .venv built of them."""
    session.run("python", "-c", "import jax; print('JAX', jax.__version__)")
    # Numbers were tried at length by `make test`; what may differ here is what JAX does with them.
    env = {"HYPOTHESIS_PROFILE": "few", "XLA_FLAGS": flags, "PYTHONPATH": str(Path.cwd())}
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, env=env)


@nox.session(python="3.11")
def ecosystem(session: nox.Session) -> None:
    """The libraries of environments, as tests_ecosystem/requirements.txt pins them."""
    session.install("-c", "constraints.txt", "-r", "tests_ecosystem/requirements.txt")
    tests = session.posargs or ["tests_ecosystem"]
    env = {"XLA_FLAGS": UNOPTIMIZED, "PYTHONPATH": str(Path.cwd())}
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, env=env)


@nox.session(python="3.11")
def buckets(session: nox.Session) -> None:
    """Runs in a bucket of an S3 server on this machine: its tests, then machines that are lost."""
    pins = Path(session.create_tmp()) / "constraints.txt"
    lines = Path("constraints.txt").read_text().splitlines(keepends=True)
    pins.write_text("".join(line for line in lines if not line.startswith("python-dateutil")))
    session.install(
        "--no-compile",
        "-c",
        str(pins.resolve()),
        *PROJECT["dependencies"],
        *needed("cloud", "fsspec"),
        *needed("demo", "flax", "optax", "gymnax"),
        "six",
        *needed("explore", "jinja2", "polars", "pyarrow"),
        *needed("dev", "pytest", "pytest-timeout"),
        "-r",
        "tests_buckets/requirements.txt",
    )
    kills = session.posargs or ["--kills", "50"]
    env = {"XLA_FLAGS": UNOPTIMIZED, "PYTHONPATH": str(Path.cwd())}
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests_buckets", env=env)
    session.run("python", "-m", "benchmarks.bucket_kills", *kills, env=env)


@nox.session(python="3.11")
def rliable(session: nox.Session) -> None:
    """The numbers of rliable in tests/analysis/rliable.json; it does not import beside pandas 3."""
    session.install("rliable==1.2.0", "pandas<3", "setuptools<81")
    session.run("python", "tests/analysis/rliable_numbers.py")


@nox.session(python="3.11")
def dist(session: nox.Session) -> None:
    """The sdist of the last commit, and the wheel that is made from it, in dist/."""

    def git(*arguments: str) -> str:
        return str(session.run("git", *arguments, external=True, silent=True))

    if changed := git("status", "--porcelain"):
        session.error(f"dist/ is made of the last commit, and these are not in it:\n{changed}")
    committed = git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    # From a clean tree: what an earlier build has left in this one would be packed, too.
    with tempfile.TemporaryDirectory() as source:
        git("archive", f"--output={source}.tar", "HEAD")
        shutil.unpack_archive(f"{source}.tar", source)
        Path(f"{source}.tar").unlink()
        session.run("python", "-m", "build", "--outdir", "dist", source)
    (sdist,) = Path("dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    if missing := [
        name for name in committed if not name.startswith(".git") and name not in packed
    ]:
        session.error(f"MANIFEST.in leaves out {', '.join(missing)}")
    charts = {f"jaxlog/_page/static/vendor/{name}" for name in VENDORED}
    if not charts <= packed:
        session.error("the chart library is not in the sdist: npm could not fetch it; see above")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))


@nox.session(python=["3.11", "3.12", "3.13"], reuse_venv=False)
def installed(session: nox.Session) -> None:
    """The wheel in dist/, in a new environment: by itself, then with what the demo trains with."""
    wheels = sorted(Path("dist").glob("*.whl"))
    if len(wheels) != 1:
        session.error(f"dist/ has {len(wheels)} wheels, expected 1; run: make dist")
    wheel = wheels[0].resolve()
    script = Path("tests/installed.py").resolve()
    session.chdir(session.create_tmp())
    session.install(str(wheel))
    session.run("python", "-I", str(script), env={"JAXLOG_CROSSING": "callback"})
    shutil.rmtree("alone")  # the run that it logs
    session.run("python", "-I", str(script))
    session.install(f"jaxlog[demo] @ {wheel.as_uri()}")
    session.run("jaxlog", "--help", silent=True)
    session.run("jaxlog", "demo", "--num-updates", "5", "--directory", "run")
    session.run("jaxlog", "show", "run")
