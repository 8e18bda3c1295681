"""The files of recorded episodes: bit for bit, bounded, and whole after kills and resumptions."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orjson
import pytest

import jaxlog
from jaxlog._format import episode_file
from jaxlog.sinks import episode_files
from jaxlog.sinks.episode_files import EpisodeFiles
from tests.conftest import MakeLogger
from tests.recorded import UPDATES, begin, cut, example, program, same

STEPS = np.arange(UPDATES)


def trained(
    logger: jaxlog.Logger, directory: Path, carry: Any = None, steps: Any = STEPS, **how: Any
) -> tuple[Any, Any]:
    """Records into a directory; returns the carry and all steps."""
    if carry is None:
        recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
        carry = begin(), recorder
    with logger.open(directory, **how):
        carry, (made, _) = jax.jit(program(logger))(carry, steps)
        jax.block_until_ready(carry)
    return carry, made


def with_dicts(tree: Any) -> Any:
    """The tree that readers build: a list where the program had a tuple."""
    match tree:
        case dict():
            return {key: with_dicts(node) for key, node in tree.items()}
        case tuple() | list():
            return [with_dicts(node) for node in tree]
        case _:
            return np.asarray(tree)


def files(directory: Path) -> dict[str, bytes]:
    """All files below `episodes/`, by their paths."""
    folder = directory / "episodes"
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines(directory: Path) -> list[dict[str, Any]]:
    """The lines of the episodes without their times."""
    found = [
        orjson.loads(line) for line in (directory / "episodes.jsonl").read_bytes().splitlines()
    ]
    return [{key: line[key] for key in line if key != "timestamp"} for line in found]


@pytest.mark.parametrize("kinds", [["jsonl"], ["arrow"], ["arrow", "jsonl"]])
def test_files_have_what_scan_returns(
    make_logger: MakeLogger, tmp_path: Path, kinds: list[str]
) -> None:
    logger = make_logger(sinks=[{"kind": kind} for kind in kinds])
    _, steps = trained(logger, tmp_path)
    run, whole = jaxlog.read_run(tmp_path), cut(steps)
    assert len(run.recordings) == len(run.episodes) == len(files(tmp_path)) > 6
    for number, row in enumerate(run.episodes.iter_rows(named=True)):
        episode = run.episode(number)
        own = whole[row["environment_id"], row["episode_number"]]
        expected = with_dicts(jax.tree.map(lambda a, e=episode: a[e.steps], own["row"]))
        same(with_dicts(episode.tree), expected)
        same(np.asarray(episode.rewards), own["reward"])
        assert (len(episode), episode.is_whole) == (row["total_steps"], True)
        assert np.float32(row["total_reward"]) == np.float32(episode.episode["total_reward"])
        same(with_dicts(episode.at(-1)), jax.tree.map(lambda a: np.asarray(a[-1]), expected))
        structure = jax.tree.structure(example())
        rebuilt = jax.tree.unflatten(structure, list(episode.arrays.values()))
        assert isinstance(rebuilt["pair"], tuple)
        loaded = np.load(tmp_path / row["file"])
        assert loaded["values/obs"].tobytes() == own["row"]["obs"].tobytes()
    assert {
        episode_file.read_steps(io.BytesIO(data)).tree["pair"][0].dtype.name
        for data in files(tmp_path).values()
    } == {"bfloat16"}


def test_lanes_have_files_of_their_own(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])

    def train(seed: Any) -> Any:
        recorder = jaxlog.empty_recorder(logger, example(), num_episodes=2, max_steps=40)
        return program(logger)((begin(seed=seed), recorder), jnp.arange(UPDATES))[1][0]

    with logger.open(tmp_path, lanes=[{"seed": 5}, {"seed": 6}]):
        steps = jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(5, 7)))
    found = jaxlog.read_run(tmp_path).recordings
    assert {(one.lane, one.labels["seed"]) for one in found} == {(0, 5), (1, 6)}
    for one in found:
        own = cut(jax.tree.map(lambda a, lane=one.lane: a[lane], steps))
        key = one.episode["environment_id"], one.episode["episode_number"]
        same(np.asarray(one.arrays["obs"]), own[key]["row"]["obs"])


@pytest.mark.parametrize("keep", [200, 4])
def test_a_resumed_run_has_the_same_files(
    make_logger: MakeLogger, tmp_path: Path, keep: int
) -> None:
    sinks = [{"kind": "jsonl", "keep_episodes": keep}]
    trained(make_logger(sinks=sinks), tmp_path / "whole", steps=np.arange(24))

    logger = make_logger(sinks=sinks)
    recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
    train: Any = jax.jit(program(logger))
    with logger.open(tmp_path / "resumed") as run:
        carry, _ = train((begin(), recorder), np.arange(8))
        state = run.state()
        train(carry, np.arange(8, 20))  # is dropped: the state was taken before
    before = files(tmp_path / "resumed")
    stored = jax.tree.map(np.asarray, carry)  # as a checkpoint has it
    with logger.open(tmp_path / "resumed", if_exists="resume", state=state):
        jax.block_until_ready(train(stored, np.arange(8, 24))[0])
    assert lines(tmp_path / "resumed") == lines(tmp_path / "whole")
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")
    assert before.keys() != files(tmp_path / "whole").keys()
    assert len(files(tmp_path / "whole")) == min(keep, len(lines(tmp_path / "whole")))


def event(number: int, total: float) -> Any:
    """A recorded episode of one step."""
    recorded = jaxlog.sinks.EpisodeSteps(
        np.arange(1), np.ones(1, np.float32), {"values": np.full(1, total)}, leaves=(LEAF,)
    )
    summary = {"environment_id": 0, "episode_number": number, "total_reward": total}
    return jaxlog.sinks.EpisodeEvent(
        "recorded", number, None, 0.0, 0, {}, summary, {}, recording=recorded
    )


LEAF = episode_file.Leaf("values")


def test_the_newest_the_best_and_the_worst_are_kept(tmp_path: Path) -> None:
    own = EpisodeFiles(tmp_path, 8)
    totals = np.random.default_rng(0).normal(size=60).tolist()
    for number, total in enumerate(totals):
        own.write(event(number, total))
        assert len(files(tmp_path)) == min(number + 1, 8)
    found = {int(name.split("step_")[1].split("-")[0]) for name in files(tmp_path)}
    assert {56, 57, 58, 59} <= found
    older = found - {56, 57, 58, 59}
    assert {int(np.argmax(totals[:56])), int(np.argmin(totals[:56]))} <= older
    own = EpisodeFiles(tmp_path / "one", 1)
    for number in range(3):
        own.write(event(number, math_nan if number == 1 else 1.0))
    assert len(files(tmp_path / "one")) == 1


math_nan = float("nan")


def test_a_step_that_is_logged_again_gets_other_files(tmp_path: Path) -> None:
    own = EpisodeFiles(tmp_path, 9)
    names = [own.write(event(3, total)) for total in (1.0, 2.0)]
    assert names[1] is not None
    assert len(set(names)) == 2
    assert names[1].endswith("_2.npz")
    data = (tmp_path / names[1]).read_bytes()
    assert episode_file.read_steps(io.BytesIO(data)).tree.tolist() == [2.0]
    one = event(4, 1.0)
    assert own.write(one) == own.write(one)  # a retry of its line writes no second file


def test_a_full_disk_costs_the_file_only(
    make_logger: MakeLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written = []

    def write(file: Any, recorded: Any) -> None:
        written.append(recorded)
        if len(written) % 2:
            file.write(b"PK half a file")
            raise OSError(errno.ENOSPC, "No space left on device")
        episode_file.write_steps(file, recorded)

    monkeypatch.setattr(episode_files, "write_steps", write)
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    trained(logger, tmp_path)
    run = jaxlog.read_run(tmp_path)
    assert len(run.episodes) == len(written) > 6
    assert len(files(tmp_path)) == len(run.recordings) == len(written) // 2
    assert run.info["sinks"][0]["lost"] == 0
    assert caplog.text.count("could not be written: [Errno 28]") == 1
    with pytest.raises(LookupError, match="was not recorded whole"):
        run.episode(0)
    assert len(run.episode(1)) > 0


KILLED = """
import os, signal, sys
import jax, numpy as np
import jaxlog
from jaxlog._format import episode_file
from jaxlog.sinks import episode_files
from tests.recorded import begin, example, program

directory, kill_at = sys.argv[1], int(sys.argv[2])
written = []

def write(file, recorded):
    written.append(recorded)
    if len(written) == kill_at:
        whole = __import__("io").BytesIO()
        episode_file.write_steps(whole, recorded)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    episode_file.write_steps(file, recorded)

episode_files.write_steps = write
logger = jaxlog.Logger({"sinks": [{"kind": "jsonl", "keep_episodes": 6}]})
train = jax.jit(program(logger))
recorder = jaxlog.empty_recorder(logger, example(), num_episodes=3, max_steps=40)
carry, first, state = (begin(), recorder), 0, None
saved = directory + ".npz"
leaves, structure = jax.tree.flatten(carry)
if os.path.exists(saved):
    with np.load(saved) as found:
        carry = jax.tree.unflatten(structure, [found[f"leaf{i}"] for i in range(len(leaves))])
        state = {key: found[f"state_{key}"] for key in ("run", "mark")}
        first = int(found["first"])
how = {} if state is None else {"if_exists": "resume", "state": state}
if state is None and os.path.exists(directory):
    how = {"if_exists": "replace"}
with logger.open(directory, **how) as run:
    for step in range(first, 24, 4):
        carry, _ = train(carry, np.arange(step, step + 4))
        state = run.state()
        of_carry = {f"leaf{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(carry))}
        of_state = {f"state_{key}": state[key] for key in ("run", "mark")}
        np.savez(saved + ".tmp.npz", first=step + 4, **of_carry, **of_state)
        os.replace(saved + ".tmp.npz", saved)
"""


def test_kills_leave_no_half_file_and_no_gap(make_logger: MakeLogger, tmp_path: Path) -> None:
    sinks = [{"kind": "jsonl", "keep_episodes": 6}]
    trained(make_logger(sinks=sinks), tmp_path / "whole", steps=np.arange(24))
    directory = tmp_path / "killed"
    codes = []
    for kill_at in (3, 2, 5, 0):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(directory), str(kill_at)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        codes.append(done.returncode)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        names = [name for name in files(directory) if name.endswith(".npz")]
        for name in names:
            episode_file.read_steps(io.BytesIO((directory / name).read_bytes()))
        assert (len(files(directory)) > len(names)) == (done.returncode != 0)  # a draft
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert lines(directory) == lines(tmp_path / "whole")
    assert files(directory) == files(tmp_path / "whole")


def test_a_replaced_run_takes_its_files_along(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    trained(logger, tmp_path)
    outside = tmp_path / "outside.npz"
    name = next(iter(files(tmp_path)))
    shutil.copy(tmp_path / name, outside)
    own = tmp_path / "episodes" / "recorded" / "mine.npz"
    own.write_bytes(b"mine")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(outside)
    with logger.open(tmp_path, if_exists="replace"):
        pass
    assert outside.exists()
    assert own.exists()
    assert set(files(tmp_path)) == {name, "episodes/recorded/mine.npz"}


def test_what_cannot_be_read_says_why(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    trained(logger, tmp_path)
    run = jaxlog.read_run(tmp_path)
    names = list(files(tmp_path))
    by_file = {one.file: one for one in run.recordings}
    data = (tmp_path / names[0]).read_bytes()
    (tmp_path / names[0]).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"episode_\d+.npz: got no file of an episode"):
        _ = by_file[names[0]].tree
    (tmp_path / names[1]).unlink()
    with pytest.raises(FileNotFoundError, match="is not there; as many files"):
        _ = by_file[names[1]].steps
    (tmp_path / names[2]).unlink()
    (tmp_path / names[2]).symlink_to(tmp_path / names[3])
    with pytest.raises(OSError, match="symbolic link"):
        _ = by_file[names[2]].steps
    with pytest.raises(IndexError, match="got the episode 999"):
        run.episode(999)
    row = run.episodes.row(3, named=True)
    assert run.episode(row).file == row["file"]
    with pytest.raises(LookupError, match="was not recorded whole"):
        run.episode(row | {"file": None})


@pytest.mark.parametrize("file", ["../../secret.npz", "episodes/../x.npz", "episodes/x/y.json", 3])
def test_a_line_leads_nowhere_else(tmp_path: Path, file: Any) -> None:
    summary = {"environment_id": 0, "file": file}
    line = {"timestamp": 0.0, "step": 0, "name": "r", "lane": 0, "labels": {}, "episode": summary}
    (tmp_path / "episodes.jsonl").write_bytes(orjson.dumps(line) + b"\n")
    (tmp_path / "run.json").write_text("{}")
    assert len(jaxlog.read_run(tmp_path).recordings) == 0


def archive(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in members.items():
            written.writestr(name, data)
    return file


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


FACTS = orjson.dumps({"format": 1, "leaves": [{"name": "x", "path": ["x"], "dtype": "float32"}]})
GOOD = {
    "episode.json": FACTS,
    "steps.npy": npy(np.arange(2)),
    "rewards.npy": npy(np.ones(2)),
    "values/x.npy": npy(np.ones((2, 3))),
}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "There is no item named"),
        ({"episode.json": b"[]"}, "no file of an episode"),
        ({"episode.json": b'{"format": 2, "leaves": []}'}, "format 2, expected 1"),
        ({"values/x.npy": npy(np.ones((3, 3)))}, r"got x of shape \(3, 3\), expected 2 steps"),
        ({"values/x.npy": npy(np.array([None, None]))}, "expected plain numbers"),
        ({"values/x.npy": npy(np.ones((2, 3)))[:-1]}, "expected 48"),
        ({"steps.npy": npy(np.ones((2, 1)))}, "expected one axis"),
        ({"more": bytes(2**26)}, r"got 67,\d+,\d+ bytes, expected at most"),
    ],
)
def test_files_from_elsewhere_are_checked(members: dict[str, bytes], text: str) -> None:
    assert episode_file.read_steps(archive(GOOD)).tree["x"].shape == (2, 3)
    with pytest.raises(ValueError, match=text):
        episode_file.read_steps(archive(GOOD | members if members else {}))


def test_an_old_line_is_an_episode_without_steps(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path):
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.arange(4.0)})
    run = jaxlog.read_run(tmp_path)
    assert len(run.episodes) == 3
    assert len(run.recordings) == 0
    with pytest.raises(LookupError, match="only its summary is known"):
        run.episode(0)
