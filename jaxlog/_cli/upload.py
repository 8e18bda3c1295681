"""`jaxlog upload`: uploads a run to a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import out
from jaxlog._host.directory import is_held
from jaxlog._host.status import observe
from jaxlog._reading.finding import check_run
from jaxlog._store.address import parsed
from jaxlog._store.opening import upload as uploaded
from jaxlog._text import counted

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Address = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ADDRESS")]


def upload(run: _Run, address: _Address) -> int:
    """Upload a run to a store, such as what an interrupted run could not upload itself.

    Of a run that the address has already, only what is new is uploaded.

    Args:
      run: The directory of the run on this machine.
      address: The address of the run in the store, such as s3://bucket/runs/first.

    Returns:
      0.

    Raises:
      CommandError: the address is not that of a store, or the run is open.
      OSError: there is no run, the address has another run, or the store cannot be written.
    """
    path = run_paths.local("upload", run)
    check_run(path)
    if is_held(path) or observe(path).status == "running":
        raise CommandError(f"upload: {path}: the run is open; end it first")
    try:
        place = parsed(address, "upload")
    except ValueError as error:
        raise CommandError(str(error)) from None
    done = uploaded(path, place)
    size = counted(done.num_bytes, "byte was", "bytes were")
    out(f"{place}: {counted(done.num_files, 'file')}, {size} uploaded")
    return 0
