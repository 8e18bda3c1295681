"""The command as a whole: help, exit codes, imports, and errors without a traceback."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jaxlog._cli.demo import demo
from jaxlog._cli.main import COMMANDS, command_of
from tests.cli.conftest import ROOT, Command, Logged, start


def test_help_lists_every_command_with_its_purpose(command: Command) -> None:
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    _, *lines = [line.split(maxsplit=1) for line in out.splitlines() if line]
    assert dict(lines) == COMMANDS  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_purpose_of_a_command_is_the_first_line_of_its_help(name: str) -> None:
    assert COMMANDS[name] == (command_of(name).__doc__ or "").splitlines()[0]


def test_help_imports_no_command(command: Command) -> None:
    code = (
        "import sys; from jaxlog._cli.main import main; main(['--help']); "
        "heavy = ('tyro', 'rich', 'numpy', 'pydantic', 'jaxlog._cli.show', 'jaxlog._watching'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_has_no_path_of_this_machine(command: Command) -> None:
    _, out, _ = command("demo", "--help")  # the documentation shows it
    assert "(default: configs/batched.yaml)" in out
    assert str(ROOT) not in out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_each_option(name: str, command: Command) -> None:
    code, out, err = command(name, "--help")
    assert (code, err) == (0, "")
    assert f"usage: jaxlog {name} " in out
    for option in inspect.signature(command_of(name)).parameters:
        named = {"run": "RUN", "directory": "DIR", "files": "FILE...", "runs": "RUN..."}
        named |= {"tags": "TAG...", "text": "TEXT", "name": "NAME", "a": "A", "b": "B"}
        named |= {"sources": "SOURCE...", "kind": "--from", "address": "ADDRESS"}
        metavar = named.get(option, f"--{option.replace('_', '-')}")
        assert metavar in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--verbose",),
        ("show", "a", "b"),
        ("tail", "--linse", "3"),
        ("tail", "-n", "x"),
        ("export",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(command: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "jaxlog" in err


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [("shwo", "; did you mean show?"), ("exprot", "; did you mean export?"), ("zzz", ""), ("", "")],
)
def test_a_mistyped_command_gets_a_suggestion(command: Command, word: str, suggestion: str) -> None:
    assert command(word, "runs/first", "--help") == (
        2,
        "",
        f"jaxlog: {word}: there is no such command{suggestion} (the commands are: "
        f"{', '.join(COMMANDS)})\n",
    )


def test_it_prints_its_version(command: Command) -> None:
    assert command("--version") == (0, f"jaxlog {version('jaxlog')}\n", "")


def test_without_arguments_it_lists_the_commands(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command()
    assert (code, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines() if line][1:]
    assert [line.split()[0] for line in lines] == list(COMMANDS)  # a line each, and no more
    for name, line in zip(COMMANDS, lines, strict=True):
        assert line.endswith((command_of(name).__doc__ or "").splitlines()[0])


def test_without_arguments_it_lists_the_newest_runs(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(7):
        run = tmp_path / "runs" / f"run_{number}"
        run.mkdir(parents=True)
        facts = {"name": run.name, "started": f"2026-01-0{number + 1}T00:00:00+00:00"}
        (run / "run.json").write_text(json.dumps(facts | {"status": "finished"}))
    code, out, err = command()
    assert (code, err) == (0, "")
    _, _, below = out.partition("runs in runs, newest 5 of 7:\n")
    heading, *rows = below.splitlines()
    assert heading.split()[:2] == ["run", "status"]
    assert [row.split()[0] for row in rows] == [f"runs/run_{n}" for n in (6, 5, 4, 3, 2)]


def test_a_directory_that_cannot_be_read_is_an_error(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "batch_metrics.jsonl").touch()
    monkeypatch.setattr("jaxlog._watching.lines.events_since", refuse)
    said = f"jaxlog: {tmp_path / 'batch_metrics.jsonl'}: Permission denied\n"
    code, _, err = command("show", tmp_path)
    assert (code, err) == (2, said)


def test_a_closed_pipe_ends_it_quietly(logged: Logged) -> None:
    with start(["show", logged.directory]) as show:
        assert show.stdout is not None
        assert show.stderr is not None
        show.stdout.close()
        assert show.wait(timeout=60) == 141
        assert show.stderr.read() == ""


def test_it_works_with_a_closed_standard_output(logged: Logged, tmp_path: Path) -> None:
    """Closes standard output, as `jaxlog tail RUN >&-` does."""
    for arguments in (
        ["check", ROOT / "configs" / "basic.yaml"],
        ["show", logged.directory],
        ["tail", logged.directory],
        ["export", logged.directory, "--to", "csv", "-o", tmp_path / "out"],
    ):
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "jaxlog", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "episodes.csv").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_an_error(logged: Logged) -> None:
    with (
        Path("/dev/full").open("w") as full,
        start(["show", logged.directory], stdout=full) as show,
    ):
        _, err = show.communicate(timeout=60)
        assert (show.returncode, err) == (2, "jaxlog: No space left on device\n")


def test_an_encoding_without_block_characters_works(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with start(["show", logged.directory]) as show:
        out, err = show.communicate(timeout=60)
        assert (show.returncode, err) == (0, "")
        assert "batch ? step 24" in out


def test_the_demo_has_the_options_of_the_example() -> None:
    pytest.importorskip("gymnax")
    example = runpy.run_path(str(ROOT / "examples" / "ppo_cartpole.py"))
    of_example = inspect.signature(example["main"]).parameters
    of_demo = inspect.signature(demo).parameters
    assert {n: p.default for n, p in of_demo.items()} == {
        n: p.default for n, p in of_example.items()
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--settings", "none.yaml"), "none.yaml: there is no such file"),
        (("--config", "none.yaml"), "none.yaml: there is no such file"),
        (("--num-updates", "0"), "demo: --num-updates: got 0, expected 1 or more"),
        (("--num-seeds", "-1"), "demo: --num-seeds: got -1, expected 1 or more"),
    ],
)
def test_the_demo_refuses_bad_options(
    command: Command, arguments: tuple[str, ...], why: str
) -> None:
    code, out, err = command("demo", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"jaxlog: {why}")


def test_the_demo_without_its_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnax", None)
    code, _, err = command("demo")
    assert (code, err) == (
        2,
        "jaxlog: demo: needs gymnax, which is not installed: pip install 'jaxlog[demo]'\n",
    )


def test_the_schema_is_complete_without_docstrings() -> None:
    for arguments in (["schema"], ["schema", "--to", "markdown"]):
        done = subprocess.run(
            [sys.executable, "-OO", "-m", "jaxlog", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "log_frequency" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (("check", "configs/full.yaml"), ("jax", "polars", "rich.live", "wandb", "tensorboardX")),
        (("schema",), ("jax", "polars", "wandb", "tensorboardX")),
        (("--version",), ("jax", "polars", "wandb", "tensorboardX")),
        ((), ("jax", "polars", "wandb")),
        (("show", "RUN"), ("jax", "polars", "wandb")),
        (("top", "RUN"), ("jax", "polars", "wandb")),
        (("tail", "RUN"), ("jax", "polars", "wandb")),
        (("export", "RUN", "--to", "csv"), ("jax", "matplotlib", "wandb")),
    ],
    ids=lambda value: " ".join(value[:1]),
)
def test_a_command_imports_only_what_it_needs(
    arguments: tuple[str, ...], never: tuple[str, ...], logged: Logged, tmp_path: Path
) -> None:
    run = shutil.copytree(logged.directory, tmp_path / "run")  # an export is written into it
    own = [str(run) if word == "RUN" else word for word in arguments]
    code = (
        "import sys; from jaxlog._cli.main import main; assert main(sys.argv[1:]) == 0; "
        f"print([name for name in {never} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *own],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["[]"]), done.stderr
