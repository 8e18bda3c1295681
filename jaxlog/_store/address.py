"""Addresses of runs in stores, such as `s3://bucket/runs/first`."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
_NO_STORES = (
    "http", "https", "data", "github", "git", "gist", "zip", "tar", "libarchive", "reference",
    "jupyter", "jlab", "wandb", "hf", "generic", "cached", "blockcache", "filecache", "simplecache",
    "dir", "pyscript",
)  # fmt: skip
"""File systems of fsspec that cannot be written, or that only wrap another."""


@dataclass(frozen=True)
class StoreAddress:
    """The address of a directory in a store.

    Attributes:
      protocol: the name of the file system, such as `s3`.
      path: the path in it, without slashes at its ends.
    """

    protocol: str
    path: str

    def __str__(self) -> str:
        slash = "/" if self.protocol in ("file", "local") else ""
        return f"{self.protocol}://{slash}{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path: the name of a run that has no other."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> StoreAddress:
        """The address of the directory that has it."""
        return StoreAddress(self.protocol, self.path.rpartition("/")[0])

    def sibling(self, name: str) -> StoreAddress:
        """The address of another name in the same directory."""
        above = self.path.rpartition("/")[0]
        return StoreAddress(self.protocol, f"{above}/{name}" if above else name)

    def split(self) -> tuple[StoreAddress, str]:
        """The address before the first part with a `*`, `?` or `[`, and the pattern after it."""
        parts = self.path.split("/")
        for place, part in enumerate(parts):
            if glob.has_magic(part):
                before = StoreAddress(self.protocol, "/".join(parts[:place]))
                return before, "/".join(parts[place:])
        return self, ""


def parsed(text: str, name: str) -> StoreAddress:
    """Parses the address of a directory in a store.

    Args:
      text: the address. One that was made a `Path` has lost a slash (`s3:/bucket/run`), and is the
        same address.
      name: the first word of an error, such as the name of the argument.

    Raises:
      ValueError: it is no address of a store, or has credentials in it.

    >>> str(parsed("s3:/bucket/runs/first/", "directory"))
    's3://bucket/runs/first'
    """
    found = _ADDRESS.fullmatch(text)
    protocol = found[1].lower() if found else text.partition(":")[0].lower()
    if found is None or "::" in text or protocol in _NO_STORES:
        raise ValueError(
            f"{name}: got an address of {protocol}, expected one of a store that can be written, "
            "such as s3://bucket/runs/first, gs://, az:// or sftp://"
        )
    path = re.sub("/+", "/", found[2]).strip("/")
    first = path.partition("/")[0]
    user, at, _ = first.rpartition("@")
    # The text is not repeated: it may have a password or a signature.
    if (at and ":" in user) or re.search(r"\?[^/]*=", path):
        raise ValueError(
            f"{name}: got an address of {protocol} with credentials in it, expected one without: "
            "run.json and messages have the address. Give them to the store's own package, by its "
            "environment variables or by fsspec's configuration"
        )
    if not path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError(
            f"{name}: got {text!r}, expected the address of a directory in a store, such as "
            f"{protocol}://bucket/runs/first"
        )
    return StoreAddress(protocol, path)
