"""Imports between parts follow the flow of data, and the core imports nothing heavy."""

from __future__ import annotations

import ast
import collections
import graphlib
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import jaxlog
from jaxlog._moved import MOVED

PACKAGE = Path(jaxlog.__file__).parent
PUBLIC = {
    jaxlog: [
        "Comparison", "ConfigError", "ConfigWarning", "EpisodeRecorder", "EpisodeTracker",
        "Image", "ImportedRun", "LiveView", "Logger",
        "LoggingConfig", "LoggingError", "Parts", "Record", "Run", "RunData",
        "RunDifference", "RunsData", "SentRun",
        "SettingsDict", "Table", "Window", "batch_step", "compare", "diff", "empty_recorder",
        "empty_window", "find_runs", "from_info", "import_runs", "live", "load_config", "log",
        "log_episodes",
        "log_window", "norms", "parts", "read_run", "read_runs", "record_step", "renderer",
        "sample_indices",
        "sample_indices_where", "scan_runs", "sync", "window_step",
    ],
    jaxlog.sinks: [
        "Account", "Columns", "EpisodeEvent", "EpisodeSteps", "EvaluationEvent", "Histogram",
        "Key", "Lane", "MetricsEvent", "RunInfo", "Sink", "SinkSettings", "StepEvent", "TaskEvent",
        "Timing",
    ],
    jaxlog.statistics: [
        "EpisodeTracker", "Moments", "QuantileSketch", "histogram", "sample_indices",
        "sample_indices_where",
    ],
}  # fmt: skip


# The readers of runs need neither the code that makes a run nor JAX.
NOT_BESIDE_A_RUN = (
    "jax", "jaxlog._program", "jaxlog._crossing", "jaxlog._settings", "jaxlog._host.run",
    "jaxlog._host.engine", "jaxlog._host.worker", "jaxlog._logger",
)  # fmt: skip


def imports(path: Path) -> set[str]:
    """The modules a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules_of_jaxlog() -> dict[str, Path]:
    """The files of jaxlog's modules, by their names."""
    modules = {
        ".".join(("jaxlog", *file.relative_to(PACKAGE).with_suffix("").parts)): file
        for file in PACKAGE.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__"): file for name, file in modules.items()}
    del modules["jaxlog"]  # it names everything
    return modules


def reached(part: str) -> set[str]:
    """Returns all modules that a part imports, directly or not, of jaxlog and of others."""
    modules = modules_of_jaxlog()
    waiting = [name for name in modules if name.startswith(f"jaxlog.{part}.")]
    assert waiting
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        for other in imports(modules[name]):
            if other not in found:
                found.add(other)
                if other in modules:
                    waiting.append(other)
    return found


@pytest.mark.parametrize(
    ("part", "never"),
    [
        (
            "_format",
            (
                "jax",
                "polars",
                "jaxlog._program",
                "jaxlog._crossing",
                "jaxlog._settings",
                "jaxlog._host",
                "jaxlog.sinks",
                "jaxlog._reading",
                "jaxlog._analysis",
            ),
        ),
        ("_program", ("jaxlog.sinks", "jaxlog._host", "jaxlog._settings", "jaxlog._logger")),
        ("_crossing", ("jaxlog.sinks", "jaxlog._host", "jaxlog._settings", "jaxlog._program")),
        ("_host", ("jax", "jaxlog._program", "jaxlog._crossing", "jaxlog._settings")),
        (
            "_render",
            (
                "jax",
                "jaxlog._program",
                "jaxlog._crossing",
                "jaxlog._settings",
                "jaxlog._host",
                "jaxlog.sinks",
                "jaxlog._logger",
            ),
        ),
        ("_reading", NOT_BESIDE_A_RUN),
        ("_analysis", NOT_BESIDE_A_RUN),
        ("_page", tuple(name for name in NOT_BESIDE_A_RUN if name != "jaxlog._settings")),
        ("_serve", tuple(name for name in NOT_BESIDE_A_RUN if name != "jaxlog._settings")),
        ("_watching", tuple(name for name in NOT_BESIDE_A_RUN if name != "jaxlog._settings")),
        (
            "sinks",
            ("jax", "jaxlog._program", "jaxlog._crossing", "jaxlog._settings", "jaxlog._host"),
        ),
        ("_sending", NOT_BESIDE_A_RUN),
        ("_importing", NOT_BESIDE_A_RUN),
        (
            "_store",
            (*NOT_BESIDE_A_RUN, "polars", "jaxlog.sinks", "jaxlog._reading", "jaxlog._analysis"),
        ),
        ("_dataset", NOT_BESIDE_A_RUN),
        ("_settings", ("jaxlog._crossing", "jaxlog._host", "jaxlog._logger")),
    ],
)
def test_data_flows_one_way(part: str, never: tuple[str, ...]) -> None:
    for name in reached(part):
        assert not any(name == n or name.startswith(f"{n}.") for n in never), (part, name)


def test_imports_make_no_circle() -> None:
    modules = modules_of_jaxlog()
    graph = {name: imports(file) & modules.keys() for name, file in modules.items()}
    for name, found in graph.items():
        # `from package import module` names the package, too, and means the module.
        graph[name] = {n for n in found if not any(m.startswith(f"{n}.") for m in found)} - {name}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names it


def test_no_private_name_is_imported_from_another_module() -> None:
    modules = modules_of_jaxlog()
    for file in modules.values():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jaxlog"):
                names = {alias.name for alias in node.names if alias.name.startswith("_")}
                private = {n for n in names if f"{node.module}.{n}" not in modules}
                assert not private, (file, private)


def test_no_two_types_share_a_name() -> None:
    found = collections.Counter(
        node.name
        for file in modules_of_jaxlog().values()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in found.items() if times > 1] == []
    ordinary = {"Curve", "Found", "Picture", "Place", "Places", "Site", "Told"}
    assert not ordinary & found.keys(), "ordinary words: name a type for what it is"


def test_only_the_command_knows_the_command() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "_cli" not in file.parts and file.name != "__main__.py":
            assert not any(n.startswith(("jaxlog._cli", "tyro")) for n in imports(file)), file


def test_only_one_module_touches_what_is_private_in_jax() -> None:
    def users(*modules: str) -> set[str]:
        return {
            str(file.relative_to(PACKAGE))
            for file in PACKAGE.rglob("*.py")
            if any(name.startswith(modules) for name in imports(file))
        }

    assert users("jax._src") == {"_crossing/jax_private.py"}
    # What JAX has for those who extend it.
    assert users("jax.extend", "jax.interpreters") == {
        "_crossing/loops.py",
        "_crossing/primitive.py",
        "_program/layout.py",
    }


KNOWN_OF_JAX = {
    "facts.py": {"jax", "jaxlib", "jaxlog"},  # versions, for run.json
    "plain.py": {"__jax_array__"},  # the protocol of what JAX takes for an array
}
"""The names of JAX's that modules of `_host` have as texts; all of them are public."""


def test_the_host_side_knows_no_private_name_of_jax_not_even_as_a_text() -> None:
    found: dict[str, set[str]] = {}
    for file in (PACKAGE / "_host").glob("*.py"):
        tree = ast.parse(file.read_text())
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        names = {
            t for t in texts if isinstance(t, str) and all(map(str.isidentifier, t.split(".")))
        }
        known = {name for name in names if "jax" in name or name.startswith("_wrapped")}
        # Whose frame it is, is asked of the crossing.
        known |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in ("co_name", "co_qualname", "co_filename", "f_globals", "f_back")
        }
        if known:
            found[file.name] = known
    assert found == KNOWN_OF_JAX


def test_only_the_settings_read_yaml_and_the_environment() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "_settings" not in file.parts:
            assert "yaml" not in imports(file), file
            assert "os.environ" not in file.read_text(), file


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these(module: ModuleType) -> None:
    names = PUBLIC[module]
    assert module.__all__ == names
    assert all(getattr(module, name).__doc__ for name in names)


@pytest.mark.parametrize(
    ("cls", "methods"),
    [
        (
            jaxlog.Logger,
            [
                "dropped", "log_episode_summary", "log_evaluation_summary", "log_step",
                "log_task_start", "open", "total_steps", "write",
            ],
        ),
        (
            jaxlog.Run,
            [
                "accounts", "address", "arrived", "close", "directory", "flush", "info", "last",
                "log", "replayed", "sink", "state", "writes",
            ],
        ),
    ],
)  # fmt: skip
def test_the_public_methods_are_those_that_a_user_calls(cls: type, methods: list[str]) -> None:
    assert [name for name in dir(cls) if not name.startswith("_")] == methods


def test_a_completion_offers_the_public_names() -> None:
    offered = [name for name in dir(jaxlog) if not name.startswith("_")]
    assert offered == sorted([*PUBLIC[jaxlog], "sinks", "statistics"])
    assert dir(jaxlog.sinks) == PUBLIC[jaxlog.sinks]
    starred: dict[str, object] = {}
    exec("from jaxlog import *", starred)
    assert sorted(starred.keys() - {"__builtins__"}) == PUBLIC[jaxlog]


@pytest.mark.parametrize("name", MOVED)
def test_a_moved_name_works_and_names_its_new_module(name: str) -> None:
    module = sys.modules[MOVED[name]]
    assert name in PUBLIC[module]
    assert name not in PUBLIC[jaxlog]
    text = f"jaxlog.{name}: this name works for one more release; the new one is "
    text += f"{module.__name__}.{name}"
    imported: dict[str, object] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert getattr(jaxlog, name) is getattr(module, name)
        exec(compile(f"from jaxlog import {name}", "theirs.py", "exec"), imported)
    assert imported[name] is getattr(module, name)
    assert {(warning.category, str(warning.message)) for warning in caught} == {
        (DeprecationWarning, text)
    }
    # At the line of the user's that has the name.
    assert {warning.filename for warning in caught} == {__file__, "theirs.py"}


def test_the_sinks_are_imported_when_one_is_asked_for() -> None:
    code = (
        "import sys, jaxlog.sinks;"
        "print([name for name in ('numpy', 'pydantic', 'jax') if name in sys.modules]);"
        "from jaxlog.sinks import Sink, MetricsEvent; print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["[]", "False", ""]


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = [
        "wandb",
        "rich",
        "orbax",
        "flax",
        "optax",
        "polars",
        "pandas",
        "matplotlib",
        "chex",
        "jaxtyping",
    ]
    heavy += ["tyro"]  # what the command needs
    heavy += ["fsspec", "jaxlog._store.mirror"]  # what addresses need
    heavy += ["scipy.stats", "jinja2"]  # what intervals and pages need
    heavy += ["jaxlog._render", "xml.etree"]  # what one sink needs
    code = (
        "import sys, jaxlog; jaxlog.load_config({'sinks': [{'kind': 'console'}]});"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_loads_neither_jax_nor_matplotlib() -> None:
    heavy = ["jax", "matplotlib", "PIL", "scipy", "rich", "wandb"]
    code = (
        "import sys, jaxlog._page.answers, jaxlog._page.report, jaxlog._serve.app;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
