"""The command line itself: its subcommands, and how a command ends.

It ends with 0; with 1 where the answer is no; with 2 where it could not do what it was asked to;
with 130 after Ctrl-C; and with 141 where nobody reads on, as tools of the shell do.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence

import tyro

from jaxlog.cli.check import check
from jaxlog.cli.demo import demo
from jaxlog.cli.errors import CommandError
from jaxlog.cli.export import export
from jaxlog.cli.report import report
from jaxlog.cli.schema import schema
from jaxlog.cli.show import show
from jaxlog.cli.stream import flush, tell
from jaxlog.cli.tail import tail
from jaxlog.host.run import LoggingError
from jaxlog.settings import ConfigError

COMMANDS = {
    command.__name__: command for command in (show, tail, report, export, check, schema, demo)
}


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
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="jaxlog",
            description="Looks after jaxlog's settings and runs.",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
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


def _refuse(why: str) -> int:
    tell(why)
    return 2


def _warned(message: Warning | str, *_: object) -> None:
    """A warning, in place of Python's own words, which have a line of the source."""
    tell(" ".join(str(message).split()))
