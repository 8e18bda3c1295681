"""`jaxlog serve`: shows the runs of a directory in a browser, live."""

from __future__ import annotations

import getpass
import ipaddress
import os
import secrets
import socket as socket_module
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import flush, note, out
from jaxlog._store import known
from jaxlog._terminal import plain

PORT = 8765
"""The port unless another one is given."""

_Directory = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
_Hosts = Annotated[tuple[str, ...], tyro.conf.arg(metavar="HOST")]
_Frames = Annotated[tuple[str, ...], tyro.conf.arg(metavar="ORIGIN")]


def serve(
    directory: _Directory = run_paths.DIRECTORY,
    *,
    port: int = PORT,
    host: str = "127.0.0.1",
    socket: Path | None = None,
    allow_host: _Hosts = (),
    allow_frames_of: _Frames = (),
) -> int:
    """Show the runs of a directory in a browser, live: status, curves, comparisons, episodes.

    It is a process of its own, which only reads. It prints an address with a token; nobody can open
    the page without it. Ctrl-C stops it.

    Args:
      directory: The directory of the runs, or of one run. Runs that come later are shown, too.
      port: The port; 0 for any that is free.
      host: The address to listen on. By default only programs of this machine reach it.
      socket: Listen on this Unix socket, which only you can use, in place of a port.
      allow_host: Other names by which browsers reach it, such as that of a proxy.
      allow_frames_of: Other sites that may show the page in a frame, such as "https://hub.example".

    Returns:
      0.

    Raises:
      CommandError: the extra `serve` is not installed, or it cannot listen.
    """
    try:
        from jaxlog._page.followed import FollowedRuns
        from jaxlog._serve.app import WebApp
        from jaxlog._serve.listening import ListenError, listen_on_path, listen_on_port
        from jaxlog._serve.serving import PageServer
    except ModuleNotFoundError as error:
        raise CommandError(
            f"serve: needs {error.name}, which is not installed: pip install 'jaxlog[serve]'"
        ) from None
    directory = run_paths.followed("serve", directory)
    if directory.is_file():
        raise CommandError(f"serve: {directory}: is a file, expected the directory of runs")
    for origin in allow_frames_of:
        if not origin.startswith(("http://", "https://")) or set(origin) & set(" ;,'\"\n\r"):
            raise CommandError(
                f"serve: --allow-frames-of: got {origin!r}, expected an origin like "
                "https://hub.example"
            )
    try:
        opened = listen_on_port(host, port) if socket is None else listen_on_path(socket)
    except ListenError as error:
        raise CommandError(f"serve: {error}") from None
    token = secrets.token_urlsafe(24)
    hosts = [*allow_host, *([] if _is_loopback(host) else ["*"])]
    server = PageServer(WebApp(FollowedRuns(directory), token, hosts, allow_frames_of))
    try:
        _say_where(directory, opened, host, socket, token)
        server.serve_until_stopped([opened])
    finally:
        opened.close()
        if socket is not None:
            socket.unlink(missing_ok=True)
    return 0


def _say_where(
    directory: Path, opened: socket_module.socket, host: str, path: Path | None, token: str
) -> None:
    """Prints the address to open, and over SSH the command that makes it reachable."""
    number = PORT if path is not None else opened.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    shown = "localhost" if path is not None or host in ("0.0.0.0", "::") else name
    out(f"serves {plain(known.shown(directory))}; Ctrl-C stops it")
    ssh = os.getenv("SSH_CONNECTION", "").split()
    if ssh or path is not None:
        target = f"{getpass.getuser()}@{socket_module.gethostname()}"
        end = path.absolute() if path is not None else f"{shown}:{number}"
        port = f" -p {ssh[3]}" if len(ssh) == 4 and ssh[3] != "22" else ""
        out("on your own machine, run")
        out(f"  ssh -N{port} -L {number}:{plain(str(end))} {target}")
        out("and open")
        shown = "localhost"
    out(f"  http://{shown}:{number}/?token={token}")
    if path is None and not _is_loopback(host):
        note(f"serve: {host}: others on the network reach it; the token is sent without encryption")
    flush()


def _is_loopback(host: str) -> bool:
    """True if only programs of this machine reach a server at a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
