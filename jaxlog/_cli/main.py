"""The entry point of the command line: finds the subcommand, runs it and returns its exit code.

The exit code is 0 on success; 1 if `check` found a problem or `diff` a difference; 2 if the command
failed; 130 after Ctrl-C; and 141 if the reader of its output has gone, as with other tools of the
shell.
"""

from __future__ import annotations

import contextlib
import importlib
import keyword
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import flush, note, out
from jaxlog._errors import ConfigError, LoggingError
from jaxlog._terminal import plain

COMMANDS = {
    "show": "Show one run (status, last values, lost records), or list the runs in a directory.",
    "runs": "Find runs by their config, status, tags and last values, and list them.",
    "diff": "Compare what made two runs: config, settings, command, code, packages, environment.",
    "top": "Follow all runs in one table: status, progress, main metric with its trend, config.",
    "serve": "Show the runs of a directory in a browser, live: status, curves, comparisons, "
    "episodes.",
    "tail": "Follow a run: print what it logs until it ends.",
    "tag": "Add tags to runs, or remove them.",
    "note": "Write a note about a run, or print it.",
    "rename": "Give a run another name; its directory stays.",
    "rm": "Remove runs with everything in their directories, after a question.",
    "report": "Write the page of `jaxlog serve` as one HTML file, with what it shows of some runs.",
    "export": "Write runs as tables or as a Parquet data set, or recorded episodes as films.",
    "sync": "Send runs to a tracker, as its sink would have: all of them once, then only what is "
    "new.",
    "import": "Bring offline files of W&B, event files of TensorBoard, and CSV files in as runs.",
    "upload": "Upload a run to a store, such as what an interrupted run could not upload itself.",
    "check": "Check settings files and print each problem with its file, line and column.",
    "schema": "Print all settings, as a JSON Schema or as a Markdown page.",
    "demo": "Train PPO on CartPole, several seeds in one compiled program, and log it live.",
}
"""The purpose of each command, which is the first line of its help. Each command is a function in a
module of the same name; the help of all of them imports none."""


def command_of(name: str) -> Callable[..., int]:
    """Imports one command, without the others and their dependencies."""
    own = f"{name}_" if keyword.iskeyword(name) else name
    return getattr(importlib.import_module(f"jaxlog._cli.{own}"), own)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
      arguments: the words after `jaxlog`; if None, those of the process.

    Returns:
      The exit code.

    Raises:
      SystemExit: the arguments are invalid, or ask for help.

    >>> main(["check", "configs/batched.yaml"])
    configs/batched.yaml: ok
    0
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # the stream is not a text file
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _show_warning
        code = _exit_code(arguments)
    try:
        flush()
    except OSError:
        # Python flushes again at exit, and would print the error then.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _exit_code(arguments: Sequence[str] | None) -> int:
    if arguments is None:
        arguments = sys.argv[1:]
        # NumPy's library for products starts a thread for each core when it is imported, which
        # takes as long as the rest of NumPy. No command multiplies matrices.
        os.putenv("OPENBLAS_NUM_THREADS", "1")
    try:
        code = _run(arguments)
        flush()
    except BrokenPipeError:
        code = 141
    except KeyboardInterrupt:
        code = 130
    except (CommandError, ConfigError, LoggingError) as error:
        code = _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        code = _fail(str(error))
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        code = _fail(f"{where}{error.strerror}" if error.strerror else str(error))
    return code


def _run(words: Sequence[str]) -> int:
    """Runs the command that the words name, and imports only that one."""
    if not words:
        from jaxlog._cli.overview import overview

        out(_help())
        return overview()
    first = words[0]
    if first in ("--help", "-h"):
        out(_help())
        return 0
    if first == "--version":
        from importlib.metadata import version

        out(f"jaxlog {version('jaxlog')}")
        return 0
    if first not in COMMANDS and not first.startswith("-"):
        import difflib

        near = difflib.get_close_matches(first, COMMANDS, 1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        raise CommandError(
            f"{first}: there is no such command{suggestion} (the commands are: "
            f"{', '.join(COMMANDS)})"
        )
    import tyro

    config = (tyro.conf.FlagCreatePairsOff,)
    if first in COMMANDS:
        command = command_of(first)
        return tyro.cli(command, prog=f"jaxlog {first}", args=words[1:], config=config)
    return tyro.extras.subcommand_cli_from_dict(
        {name: command_of(name) for name in COMMANDS},
        prog="jaxlog",
        description="Inspect, follow and export jaxlog runs; validate settings files. "
        "`jaxlog --version` prints the version.",
        args=words,
        config=config,
    )


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {purpose}" for name, purpose in COMMANDS.items()]
    usage = "usage: jaxlog COMMAND ... (jaxlog COMMAND --help explains its options)"
    return "\n".join([usage, "", *lines])


def _fail(reason: str) -> int:
    note(reason)
    return 2


def _show_warning(message: Warning | str, *_: object) -> None:
    """Prints a warning without the line of source that Python adds."""
    note(plain(str(message)))
