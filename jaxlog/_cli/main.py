"""The entry point of the command line: finds the subcommand, runs it and returns its exit code.

The exit code is 0 on success; 1 if `check` found a problem; 2 if the command failed; 130 after
Ctrl-C; and 141 if the reader of its output has gone, as with other tools of the shell.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version

import tyro

from jaxlog._cli.errors import CommandError
from jaxlog._cli.overview import overview
from jaxlog._cli.stream import flush, note, out
from jaxlog._errors import LoggingError
from jaxlog._settings import ConfigError
from jaxlog._terminal import plain

COMMANDS = ("show", "top", "serve", "tail", "report", "export", "check", "schema", "demo")
"""The names of the commands. Each is a function in a module of the same name."""


def command_of(name: str) -> Callable[..., int]:
    """Imports one command, without the others and their dependencies."""
    return getattr(importlib.import_module(f"jaxlog._cli.{name}"), name)


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
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _run(words)
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
        return overview({name: _purpose(name) for name in COMMANDS})
    first = words[0]
    if first == "--version":
        out(f"jaxlog {version('jaxlog')}")
        return 0
    if first not in COMMANDS and not first.startswith("-"):
        near = difflib.get_close_matches(first, COMMANDS, 1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        raise CommandError(
            f"{first}: there is no such command{suggestion} (the commands are: "
            f"{', '.join(COMMANDS)})"
        )
    wanted = [first] if first in COMMANDS else COMMANDS  # --help lists all of them
    return tyro.extras.subcommand_cli_from_dict(
        {name: command_of(name) for name in wanted},
        prog="jaxlog",
        description="Inspect, follow and export jaxlog runs; validate settings files. "
        "`jaxlog --version` prints the version.",
        args=words,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _purpose(name: str) -> str:
    """Returns the first line of a command's docstring; `python -OO` removes docstrings."""
    return (command_of(name).__doc__ or "").partition("\n")[0]


def _fail(reason: str) -> int:
    note(reason)
    return 2


def _show_warning(message: Warning | str, *_: object) -> None:
    """Prints a warning without the line of source that Python adds."""
    note(plain(str(message)))
