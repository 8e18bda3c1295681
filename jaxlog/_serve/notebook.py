"""The live page in a notebook."""

from __future__ import annotations

import atexit
import html
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import orjson

from jaxlog._paths import is_address, local_path

HEIGHT = 720
"""The height of the page in a notebook, in pixels."""
PATIENCE = 10.0
"""The seconds that a server has to stop."""
Scheme = Literal["light", "dark"]
_open: dict[Path, LiveView] = {}


class LiveView:
    """The live page of some runs, which a notebook shows where this is the value of a cell.

    A server in a process of its own reads the runs. It stops with `close`, and with the notebook.

    Attributes:
      directory: the directory of the runs.
      address: the address of the page. It has the token: whoever has the address sees the page.
      height: the height of the page in the notebook, in pixels.
      scheme: `light` or `dark`; None if the page follows the browser.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        height: int,
        scheme: Scheme | None,
        server: subprocess.Popen[bytes],
    ) -> None:
        self.directory, self.address = directory, address
        self.height, self.scheme = height, scheme
        self._server = server

    def close(self) -> None:
        """Stops the server. The page then says that it is gone."""
        _open.pop(self.directory, None)
        assert self._server.stdin is not None
        self._server.stdin.close()
        try:
            self._server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()

    def __repr__(self) -> str:
        return f"LiveView({str(self.directory)!r}, {self.address})"

    def _repr_html_(self) -> str:
        chosen = "" if self.scheme is None else f"#scheme={self.scheme}"
        address = html.escape(self.address + chosen)
        return (
            f'<iframe src="{address}" title="jaxlog: {html.escape(str(self.directory))}" '
            f'style="width: 100%; height: {self.height}px; border: 1px solid #8886"></iframe>'
        )


def live(
    directory: str | os.PathLike[str] = "runs",
    *,
    height: int = HEIGHT,
    address: str | None = None,
    scheme: Scheme | None = None,
) -> LiveView:
    """Shows the live page of `jaxlog serve` in a notebook: Jupyter, VS Code or marimo.

    A server in a process of its own follows the runs; it only reads, and takes no time from the
    training. Runs that begin later are shown, too. A second call for the same directory shows the
    same server. Call it outside of programs; it computes nothing of JAX's.

    Args:
      directory: the directory of the runs, or of one run. It may come into being later. Or an
        address in a store, like `s3://bucket/runs`, which has a run already.
      height: the height of the page, in pixels.
      address: where the browser reaches a port of this machine, with `{port}` for its number. If
        None, `http://localhost:{port}/`, which VS Code forwards by itself; on JupyterHub that of
        jupyter-server-proxy, `/user/NAME/proxy/{port}/`.
      scheme: `light` or `dark`, as the theme of the notebook is, which a frame cannot see. If None,
        the page follows the browser.

    Returns:
      The view: the value of a cell, to be shown.

    Raises:
      RuntimeError: the extra `serve` is not installed, or the server cannot start.
      ValueError: `address` has no `{port}`, or `scheme` is another one.

    Example:
      >>> import jaxlog
      >>> view = jaxlog.live("runs", height=900)  # the value of a cell
      >>> view.address.startswith("http://localhost:")
      True
      >>> view.close()
    """
    if scheme not in (None, "light", "dark"):
        raise ValueError(f"live: scheme: got {scheme!r}, expected 'light', 'dark' or None")
    if is_address(directory):
        path = Path(os.fsdecode(directory))
    else:
        path = local_path(directory, "live: directory").absolute()
    before = _open.get(path)
    if before is not None and before._server.poll() is None:
        before.height, before.scheme = height, scheme
        return before
    prefix = os.getenv("JUPYTERHUB_SERVICE_PREFIX")
    if address is None:
        address = f"{prefix}proxy/{{port}}/" if prefix else "http://localhost:{port}/"
    if "{port}" not in address:
        raise ValueError(
            f"live: address: got {address!r}, expected one with {{port}}, like /proxy/{{port}}/"
        )
    server, port, below = _start(path)
    page = address.replace("{port}", str(port)).rstrip("/") + below
    view = _open[path] = LiveView(path, page, height, scheme, server)
    return view


def _start(path: Path) -> tuple[subprocess.Popen[bytes], int, str]:
    """Starts a server; returns it, its port, and the path of its page."""
    with tempfile.TemporaryFile() as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "jaxlog._serve.child", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # an interrupt of the notebook is not for the server
        )
        assert server.stdout is not None
        line = server.stdout.readline()
        if line:
            told = orjson.loads(line)
            return server, told["port"], told["path"]
        server.communicate()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    remedy = "; pip install 'jaxlog[serve]'" if "No module named" in said else ""
    raise RuntimeError(f"live: the server cannot start: {said}{remedy}")


@atexit.register
def _close_all() -> None:
    for view in list(_open.values()):
        view.close()
