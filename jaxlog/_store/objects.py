"""The objects below one address: read, written, created and listed, by fsspec."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, NamedTuple, TypeVar

from jaxlog._host.redaction import redacted
from jaxlog._store.address import StoreAddress
from jaxlog._store.table import is_inside

_WHOLE_AT_ONCE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory")
"""Stores where a reader sees an object either as it was before it is written, or after."""
_CONNECTING = {"s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 30}}}
"""The limits on time, in seconds, for packages whose own are minutes."""

_NO_BUCKET = re.compile(r"(?i)bucket does not exist|NoSuchBucket|container does not exist")

_T = TypeVar("_T")


class StoreError(OSError):
    """A store cannot be reached, or refuses what was asked of it."""


class StoredEntry(NamedTuple):
    """One entry of a listing.

    Attributes:
      name: its name in the directory.
      size: its size in bytes; 0 for a folder.
      is_folder: whether it is a folder.
      tag: a text that changes when it is written: its ETag, or its time.
    """

    name: str
    size: int
    is_folder: bool
    tag: str


class ObjectStore:
    """The objects below an address.

    Args:
      address: of the directory.

    Attributes:
      address: as given.

    Raises:
      StoreError: fsspec or the package of the store is not installed, or the store cannot be used.
    """

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self._fs, self._root = _file_system(address)
        # A cached listing would not have what other machines write.
        if hasattr(self._fs, "dircache"):
            self._fs.dircache.use_listings_cache = False
        self._by_renaming = address.protocol not in _WHOLE_AT_ONCE

    def below(self, name: str) -> ObjectStore:
        """The objects of a folder, with the same connections."""
        inner = object.__new__(ObjectStore)
        inner.address = StoreAddress(self.address.protocol, f"{self.address.path}/{name}")
        inner._fs, inner._root = self._fs, f"{self._root}/{name}"
        inner._by_renaming = self._by_renaming
        return inner

    def get(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Reads an object, or the bytes from `start` to before `end`.

        Raises:
          FileNotFoundError: there is none of this name.
          StoreError: it cannot be read.
        """
        path = f"{self._root}/{name}"
        return self._try("read", lambda: self._fs.cat_file(path, start=start, end=end))

    def opened(self, name: str) -> BinaryIO:
        """Opens an object, to read parts of it.

        Raises:
          FileNotFoundError: there is none of this name.
          StoreError: it cannot be opened.
        """
        path = f"{self._root}/{name}"
        return self._try("read", lambda: self._fs.open(path, "rb"))

    def put(self, name: str, data: bytes) -> None:
        """Writes an object as a whole.

        Raises:
          StoreError: it cannot be written.
        """
        path = f"{self._root}/{name}"
        if not self._by_renaming:
            self._try("written", lambda: self._fs.pipe_file(path, data))
            return
        folder, _, last = path.rpartition("/")
        draft = f"{folder}/.{last}.{secrets.token_hex(8)}.draft"

        def write() -> None:
            self._fs.makedirs(folder, exist_ok=True)
            try:
                self._fs.pipe_file(draft, data)
                self._fs.mv(draft, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._fs.rm_file(draft)
                raise

        self._try("written", write)

    def create(self, name: str, data: bytes) -> bool:
        """Writes an object that must not exist; False if there is one, also if it came just now.

        S3, Google's and Azure's stores decide this themselves. Where a file system cannot, of two
        machines that create an object at once the later one has it, which both find out when they
        read it again.

        Raises:
          StoreError: it cannot be written.
        """
        path = f"{self._root}/{name}"

        def write() -> None:
            if self._by_renaming:
                self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                self._fs.pipe_file(path, data, mode="create")
            except TypeError:  # a file system that does not know the mode
                if self._fs.exists(path):
                    raise FileExistsError(path) from None
                self._fs.pipe_file(path, data)

        try:
            self._try("written", write)
        except FileExistsError:
            return False
        with contextlib.suppress(FileNotFoundError):
            return self.get(name) == data
        return False

    def exists(self, name: str) -> bool:
        """True if there is an object of this name.

        Raises:
          StoreError: the store cannot be asked.
        """
        path = f"{self._root}/{name}"
        try:
            self._try("read", lambda: self._fs.info(path))
        except FileNotFoundError:
            return False
        return True

    def written(self, name: str) -> float | None:
        """When an object was written by the store's clock, in seconds since 1970; None if unknown.

        Raises:
          StoreError: the store cannot be asked.
        """
        path = f"{self._root}/{name}"
        try:
            return float(self._try("read", lambda: self._fs.modified(path)).timestamp())
        except (FileNotFoundError, NotImplementedError, AttributeError):
            return None

    def entries(self, folder: str = "") -> list[StoredEntry]:
        """The entries of a folder; none if it is not there.

        Raises:
          StoreError: it cannot be listed.
        """
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            found = self._try("read", lambda: self._fs.ls(path, detail=True))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [entry for one in found if (entry := _entry(one)).name and one["name"] != path]

    def find(self, folder: str) -> dict[str, StoredEntry]:
        """The objects below a folder, by their names below the address.

        Keys that are no path below the address are left out: markers of folders, which end in a
        slash, and keys such as `../other`, which a store may have.

        Raises:
          StoreError: it cannot be listed.
        """
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            found = self._try("read", lambda: self._fs.find(path, detail=True))
        except FileNotFoundError:
            return {}
        start = len(self._root.lstrip("/")) + 1
        inside = {name.lstrip("/")[start:]: one for name, one in found.items()}
        return {name: _entry(one) for name, one in inside.items() if is_inside(name)}

    def delete(self, names: Iterable[str]) -> None:
        """Deletes objects; those that are not there are deleted already.

        Raises:
          StoreError: they cannot be deleted.
        """
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._try("written", lambda name=name: self._fs.rm_file(f"{self._root}/{name}"))

    def _try(self, action: str, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except (FileExistsError, NotADirectoryError, NotImplementedError):
            raise
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                first = self.address.path.partition("/")[0]
                raise StoreError(
                    f"{self.address}: there is no bucket {first}; create it, or check the name"
                ) from None
            raise
        except Exception as error:
            raise StoreError(f"{self.address}: {_reason(action, error)}") from error


def _reason(action: str, error: Exception) -> str:
    kind = type(error).__name__
    if "Credentials" in kind:
        return (
            f"could not be {action}, since there are no credentials ({kind}); give them to the "
            "store's own package, by its environment variables or its configuration file"
        )
    if isinstance(error, PermissionError):
        return (
            f"could not be {action}: access is denied ({_short(error)}); check the credentials and "
            "what they allow"
        )
    return f"could not be {action}: {kind}: {_short(error)}"


def _short(error: Exception) -> str:
    text = redacted(" ".join(str(error).split()))
    return text if len(text) <= 300 else f"{text[:300]}…"


def _entry(found: dict[str, Any]) -> StoredEntry:
    tag = next(
        (str(found[k]) for k in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if k in found),
        str(found.get("created", "")),
    )
    name = str(found["name"]).rstrip("/").rpartition("/")[2]
    return StoredEntry(name, int(found.get("size") or 0), found["type"] == "directory", tag)


def _file_system(address: StoreAddress) -> tuple[Any, str]:
    """The file system of an address, and its path in there."""
    try:
        import fsspec
        from fsspec.config import conf
    except ModuleNotFoundError:
        raise StoreError(
            f"{address}: addresses need fsspec, which is not installed; pip install "
            f"'jaxlog[cloud]', and the package of the store{_package(address.protocol)}"
        ) from None
    try:
        fsspec.get_filesystem_class(address.protocol)
    except ImportError as error:
        raise StoreError(
            f"{address}: the package of this store is not installed: {_short(error)}"
            f"{_package(address.protocol)}"
        ) from None
    except ValueError:
        raise StoreError(
            f"{address}: there is no file system {address.protocol!r}; expected one that fsspec "
            "knows, such as s3, gs, az or sftp"
        ) from None
    own = {"auto_mkdir": True} if address.protocol in ("file", "local") else {}
    kind = "s3" if address.protocol == "s3a" else address.protocol
    given = conf.get(kind, {})
    own |= {key: value for key, value in _CONNECTING.get(kind, {}).items() if key not in given}
    try:
        found, path = fsspec.url_to_fs(str(address), skip_instance_cache=True, **own)
    except Exception as error:
        raise StoreError(f"{address}: {_reason('opened', error)}") from error
    return found, path.rstrip("/")


def _package(protocol: str) -> str:
    known = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
    known |= dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs")
    known |= dict.fromkeys(("sftp", "ssh"), "paramiko")
    return f": pip install {known[protocol]}" if protocol in known else ""
