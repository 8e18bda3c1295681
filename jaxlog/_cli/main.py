"""The command line itself: its subcommands, and how a command ends.

It ends with 0; with 1 where the answer is no; with 2 where it could not do what it was asked to;
with 130 after Ctrl-C; and with 141 where nobody reads on, as tools of the shell do.
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
from jaxlog._cli.stream import flush, out, tell
from jaxlog._errors import LoggingError
from jaxlog._settings import ConfigError

COMMANDS = ("show", "tail", "report", "export", "check", "schema", "demo")
"""The names of the commands; each is a function of its name in a module of its name."""


def command_of(name: str) -> Callable[..., int]:
    """A command, with what it imports: the others are not imported."""
    return getattr(importlib.import_module(f"jaxlog._cli.{name}"), name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
      arguments: what stands behind `jaxlog`; those of the process, if None.

    Returns:
      The code to exit with.

    Raises:
      SystemExit: the arguments cannot be used, or ask for help.

    >>> main(["check", "configs/batched.yaml"])
    configs/batched.yaml: ok
    0
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that is no text file
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _warned
        code = _code(arguments)
    try:
        flush()
    except OSError:
        # Python tries again when it ends, and would say so.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _code(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _answer(words)
        flush()
    except BrokenPipeError:
        code = 141
    except KeyboardInterrupt:
        code = 130
    except (CommandError, ConfigError, LoggingError) as error:
        code = _refuse(str(error))
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        code = _refuse(f"{where}{error.strerror}" if error.strerror else str(error))
    return code


def _answer(words: Sequence[str]) -> int:
    """Runs what the words ask for, and imports no more than that needs."""
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
    wanted = [first] if first in COMMANDS else COMMANDS  # all of them, for their help
    return tyro.extras.subcommand_cli_from_dict(
        {name: command_of(name) for name in wanted},
        prog="jaxlog",
        description="Inspect, follow and export jaxlog runs; validate settings files. "
        "`jaxlog --version` prints the version.",
        args=words,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _purpose(name: str) -> str:
    """What a command does: the first line of its docstring, which `-OO` removes."""
    return (command_of(name).__doc__ or "").partition("\n")[0]


def _refuse(why: str) -> int:
    tell(why)
    return 2


def _warned(message: Warning | str, *_: object) -> None:
    """A warning, in place of Python's own words, which have a line of the source."""
    tell(" ".join(str(message).split()))
