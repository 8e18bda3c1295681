"""The sockets that a server listens on: a port of this machine, or a Unix socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path


class ListenError(OSError):
    """A server cannot listen. The text says why, and what to do."""


def listen_on_port(host: str, port: int) -> socket.socket:
    """Opens a port.

    Args:
      host: a name or an address of this machine.
      port: the number; 0 for any that is free.

    Raises:
      ListenError: it is in use, or it is not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ListenError(
            f"--host: got {host!r}, expected an address of this machine ({error.strerror})"
        ) from None
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"the port {port} is in use, perhaps by another jaxlog serve; choose another with "
                "--port, or --port 0 for any that is free"
            ) from None
        if error.errno == errno.EACCES:
            raise ListenError(
                f"the port {port} may not be opened; choose one from 1024 on with --port"
            ) from None
        raise ListenError(f"{host}: cannot be listened on: {error.strerror}") from None
    return opened


def listen_on_path(path: Path) -> socket.socket:
    """Opens a Unix socket, which only this user can connect to.

    A socket that a server left behind when it was killed is replaced.

    Raises:
      ListenError: there is something else, or a server that listens, or it cannot be made.
    """
    try:
        found = path.lstat()
    except OSError:
        found = None
    if found is not None:
        if not stat.S_ISSOCK(found.st_mode):
            raise ListenError(f"{path}: is there already, and is no socket; choose another path")
        if _listens(path):
            raise ListenError(f"{path}: another server listens there; choose another path")
        with contextlib.suppress(OSError):
            path.unlink()
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        opened.bind(os.fspath(path))
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise ListenError(f"{path}: cannot be made: {error.strerror or error}") from None
    finally:
        os.umask(before)
    return opened


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True
