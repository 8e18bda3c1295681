"""The file of one recorded episode: a ZIP archive of NumPy arrays, as `numpy.load` reads it.

It has `steps.npy`, `rewards.npy`, an array `values/NAME.npy` for each array of the pytree, and
`episode.json`, which has the place of each in the tree, and the dtypes that NumPy lacks.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import orjson

from jaxlog._format.events import EpisodeSteps, KeyData, Leaf
from jaxlog._format.recording import MAX_RECORDING_BYTES
from jaxlog._format.whole_arrays import dtype_of
from jaxlog._text import counted

FOLDER = "episodes"
"""The folder in a run's directory that has the files of episodes."""
ENDING = ".npz"
_FACTS = "episode.json"
_VALUES = "values/"
_LEVEL = 1
"""The level of compression: the others take several times as long, and save little."""
_MOST_BYTES = 2 * MAX_RECORDING_BYTES
"""The most bytes that are read of a file. The steps' indices come on top of a record's bytes."""
_MOST_LEAVES = 10_000
"""The most arrays that are read of a file."""


def file_name(
    call: str, step: int, lane: int, episode: Mapping[str, Any], repetition: int = 0
) -> str:
    """The path of an episode's file below the run's directory.

    Args:
      call: the name of the call.
      step: the index of the update.
      lane: the number of the lane.
      episode: the summary of the episode.
      repetition: how many files of this step and episode there are already, from earlier passes of
        a loop.

    >>> file_name("recorded", 100, 3, {"environment_id": 19, "episode_number": 7})
    'episodes/recorded/step_0000000100-lane_0003-env_000019-episode_000007.npz'
    """
    at = episode.get("batch_index", [episode["environment_id"]])
    env = "-".join(f"{index:06d}" for index in at)
    again = f"_{repetition + 1}" if repetition else ""
    return (
        f"{FOLDER}/{call}/step_{step:010d}-lane_{lane:04d}-env_{env}"
        f"-episode_{episode['episode_number']:06d}{again}{ENDING}"
    )


def write_steps(file: BinaryIO, recorded: EpisodeSteps) -> None:
    """Writes the steps of an episode; equal episodes give equal bytes."""
    arrays = {"steps": recorded.steps, "rewards": recorded.rewards}
    leaves: list[dict[str, Any]] = []
    for number, leaf in enumerate(recorded.leaves):
        array = np.asarray(recorded.arrays[leaf.name])
        of_leaf: dict[str, Any] = {"name": leaf.name, "path": leaf.path, "dtype": array.dtype.name}
        leaves.append(of_leaf | ({"key": True} if leaf.is_key else {}))
        if array.dtype.kind == "V":  # the halves and quarters of ml_dtypes
            array = array.view(f"u{array.dtype.itemsize}")
        arrays[_member(leaf, number)] = array
    with zipfile.ZipFile(file, "w") as archive:
        facts: dict[str, Any] = {"format": 1, "leaves": leaves}
        facts |= {"renderer": recorded.renderer} if recorded.renderer else {}
        _add(archive, _FACTS, orjson.dumps(facts))
        for name, array in arrays.items():
            with archive.open(_entry(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def read_steps(file: BinaryIO) -> EpisodeSteps:
    """Reads the steps of an episode; the tree has dicts and lists for all nodes.

    Raises:
      ValueError: it is not such a file, is incomplete, or has more bytes than a record may have.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"got no file of an episode, or a damaged one: {error}") from None
    except (KeyError, TypeError, EOFError, AttributeError) as error:
        raise ValueError(f"got no file of an episode: {error!r}") from None


def _read(archive: zipfile.ZipFile) -> EpisodeSteps:
    total = sum(entry.file_size for entry in archive.infolist())
    if total > _MOST_BYTES:
        raise ValueError(f"got {total:,} bytes, expected at most {_MOST_BYTES:,} in an episode")
    facts = orjson.loads(archive.read(_FACTS))
    if facts["format"] != 1:
        raise ValueError(f"got the format {facts['format']!r}, expected 1; use a newer jaxlog")
    if len(facts["leaves"]) > _MOST_LEAVES:
        raise ValueError(f"got {len(facts['leaves']):,} arrays, expected at most {_MOST_LEAVES:,}")
    steps, rewards = _array(archive, "steps"), _array(archive, "rewards")
    if steps.ndim != 1 or rewards.shape != steps.shape or steps.dtype.kind not in "iu":
        raise ValueError(f"got steps {steps.shape} and rewards {rewards.shape}, expected one axis")
    leaves: list[Leaf] = []
    arrays: dict[str, np.ndarray] = {}
    for number, described in enumerate(facts["leaves"]):
        path = tuple(key if isinstance(key, int) else str(key) for key in described["path"])
        leaf = Leaf(str(described["name"]), path, described.get("key") is True)
        array = _array(archive, _member(leaf, number))
        dtype = dtype_of(described)
        if dtype is not None and dtype.kind == "V" and dtype.itemsize == array.dtype.itemsize:
            array = array.view(dtype)
        if array.shape[:1] != steps.shape:
            expected = counted(len(steps), "step")
            raise ValueError(f"got {leaf.name} of shape {array.shape}, expected {expected}")
        leaves.append(leaf)
        arrays[leaf.name] = array.view(KeyData) if leaf.is_key else array
    renderer = str(facts.get("renderer", ""))
    return EpisodeSteps(steps, rewards, arrays, tree_of(leaves, arrays), tuple(leaves), renderer)


def tree_of(leaves: list[Leaf], arrays: Mapping[str, Any]) -> Any:
    """Builds a tree of dicts and lists from arrays and their places.

    >>> tree_of([Leaf("a.0", ("a", 0)), Leaf("a.1", ("a", 1))], {"a.0": 5, "a.1": 6})
    {'a': [5, 6]}
    """
    if len(leaves) == 1 and not leaves[0].path:
        return arrays[leaves[0].name]
    nested: dict[str | int, Any] = {}
    for leaf in leaves:
        node = nested
        *outer, last = leaf.path
        for key in outer:
            node = node.setdefault(key, {})
        node[last] = _Leaf(arrays[leaf.name])
    return _plain(nested)


class _Leaf:
    """Tells an array from a node."""

    def __init__(self, array: Any) -> None:
        self.array = array


def _plain(node: Any) -> Any:
    if isinstance(node, _Leaf):
        return node.array
    if node and list(node) == list(range(len(node))):
        return [_plain(inner) for inner in node.values()]
    return {key: _plain(inner) for key, inner in node.items()}


def _member(leaf: Leaf, number: int) -> str:
    """The name of a leaf's array in the archive: its number, if a file could not be called so."""
    plain = leaf.name.isascii() and all(c.isalnum() or c in "._-" for c in leaf.name)
    return f"{_VALUES}{leaf.name if plain else number}"


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        reading = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
        if reading is None:
            raise ValueError(f"got {name} in the version {version} of NumPy's format, expected 1.0")
        shape, fortran, dtype = reading(member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or fortran or size > _MOST_BYTES:
            raise ValueError(f"got {name} of {dtype} with {size:,} bytes, expected plain numbers")
        data = member.read(size + 1)
    if len(data) != size:
        raise ValueError(f"got {counted(len(data), 'byte')} of {name}, expected {size:,}")
    return np.frombuffer(data, dtype).reshape(shape)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # its time is 1980, so that equal episodes are equal files
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry._compresslevel = _LEVEL  # pyright: ignore[reportAttributeAccessIssue]
    return entry


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(_entry(name), data)
