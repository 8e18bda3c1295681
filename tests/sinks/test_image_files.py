"""The files of images: bounded, whole after kills and resumptions, and those of this run alone."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orjson
import pytest
from PIL import Image as Pillow

import jaxlog
from jaxlog._format import media_lines
from jaxlog._format.lines import KINDS, text_of
from jaxlog._render.png import own_pixels, png
from jaxlog.sinks import image_files
from jaxlog.sinks.image_files import ImageFiles
from tests.conftest import MakeLogger


def frame(step: int, lane: int = 0) -> np.ndarray:
    """An image that says its step and lane."""
    return np.array([[step % 256, step // 256, lane]], np.uint8)


def program(logger: jaxlog.Logger) -> Any:
    """A program of two lanes that logs an image and a number at each step."""

    def update(seed: jax.Array, step: jax.Array) -> Any:
        one = jnp.stack([step % 256, step // 256, seed]).astype(np.uint8)[None]
        values = {"x": step.astype(np.float32), "a/b": jaxlog.Image(one)}
        jaxlog.log(logger, step, values, labels={"seed": seed}, every=1)
        return seed, None

    return jax.jit(lambda steps: jax.vmap(lambda s: jax.lax.scan(update, s, steps))(jnp.arange(2)))


def trained(logger: jaxlog.Logger, directory: Path, steps: Any, **how: Any) -> jaxlog.Run:
    with logger.open(directory, **how) as run:
        jax.block_until_ready(program(logger)(steps))
        table = jaxlog.Table(["a"], [[0.5]])
        for step in (0, 5):
            run.log({"frame": jaxlog.Image(frame(step)), "table": table}, step=step)
    return run


def files(directory: Path) -> dict[str, bytes]:
    """All files below `images/`, by their paths."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted((directory / "images").rglob("*"))
        if path.is_file()
    }


def lines(directory: Path) -> list[dict[str, Any]]:
    """The lines of images and tables without their times."""
    found = [orjson.loads(line) for line in (directory / "media.jsonl").read_bytes().splitlines()]
    return [{key: line[key] for key in line if key != "timestamp"} for line in found]


@pytest.mark.parametrize("kinds", [["jsonl"], ["arrow"], ["arrow", "jsonl"], ["jsonl", "arrow"]])
def test_lines_name_the_files(make_logger: MakeLogger, tmp_path: Path, kinds: list[str]) -> None:
    run = trained(make_logger(sinks=[{"kind": kind} for kind in kinds]), tmp_path, np.arange(3))
    assert all(account.written == 8 for account in run.accounts())
    media = [one for line in lines(tmp_path) for one in line["media"].values()]
    named = [one["file"] for one in media if "file" in one]
    assert sorted(named) == sorted(files(tmp_path))
    assert len(named) == len(set(named)) == 3 * 2 + 2
    assert (tmp_path / "media.jsonl").read_bytes().startswith(b'{"timestamp":')
    for one in jaxlog.read_run(tmp_path).logged_images():
        np.testing.assert_array_equal(one.value, frame(one.step, one.lane)[..., None])
        read = np.asarray(Pillow.open(tmp_path / str(one.file)))
        np.testing.assert_array_equal(read, one.value[..., 0])


@pytest.mark.parametrize("keep", [5, 1000])
@pytest.mark.parametrize("kind", ["jsonl", "arrow"])
def test_a_resumed_run_has_the_same_files(
    make_logger: MakeLogger, tmp_path: Path, keep: int, kind: str
) -> None:
    logger = make_logger(sinks=[{"kind": kind, "keep_images": keep}])
    with logger.open(tmp_path / "whole"):
        jax.block_until_ready(program(logger)(np.arange(24)))
    train = program(logger)
    with logger.open(tmp_path / "resumed") as run:
        train(np.arange(8))
        state = run.state()
        train(np.arange(8, 20))  # is dropped: the state was taken before
    before = files(tmp_path / "resumed")
    with logger.open(tmp_path / "resumed", if_exists="resume", state=state):
        jax.block_until_ready(train(np.arange(8, 24)))
    assert lines(tmp_path / "resumed") == lines(tmp_path / "whole")
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")
    assert before.keys() != files(tmp_path / "whole").keys()
    assert len(files(tmp_path / "whole")) == min(keep, 48)


def test_the_newest_and_an_even_history_are_kept(tmp_path: Path) -> None:
    own = ImageFiles(tmp_path, 20)
    for step in range(400):
        lanes = tuple(
            jaxlog.sinks.Lane(i, {}, {}, media={"a": jaxlog.Image(frame(step, i)[None])})
            for i in range(2)
        )
        own.write(jaxlog.sinks.MetricsEvent("eval", step, None, 0.0, lanes, {}, num_lanes=2))
        assert len(files(tmp_path)) == min(2 * (step + 1), 20)
    names = files(tmp_path)
    steps = [[int(name.split("step_")[1][:10]) for name in names if f"lane_000{i}" in name]
             for i in range(2)]  # fmt: skip
    for own_steps in steps:
        assert own_steps[-5:] == [395, 396, 397, 398, 399]  # the newer half
        older = own_steps[:-5]
        assert (len(older), older[0]) == (5, 0)
        assert max(np.diff([*older, 400])) <= 4 * 400 / 5


def test_a_step_that_is_logged_again_gets_other_files(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path) as run:
        for number in range(3):
            run.log({"frame": jaxlog.Image(frame(number))}, step=7)
    found = jaxlog.read_run(tmp_path).logged_images("frame")
    assert [one.value[0, 0, 0] for one in found] == [0, 1, 2]
    assert [one.file[-6:] for one in found if one.file] == ["00.png", "_2.png", "_3.png"]


def test_names_of_users_are_names_of_files(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    names = ["a/b", "a_b", "../../up", "x" * 300, "ü\n✓", "A_B", "a b", "."]
    with logger.open(tmp_path / "run") as run:
        run.log({name: jaxlog.Image(frame(i)) for i, name in enumerate(names)}, step=0)
    found = {
        one.name: one.value[0, 0, 0] for one in jaxlog.read_run(tmp_path / "run").logged_images()
    }
    assert found == {name: i for i, name in enumerate(names)}
    assert len(files(tmp_path / "run")) == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_costs_the_file_only(
    make_logger: MakeLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    replacing, tried = image_files.KeptFiles.add, []

    def add(self: Any, name_of: Any, write: Any, fact: Any) -> Any:
        def writes(file: Any) -> None:
            tried.append(name_of(0))
            if len(tried) % 2:
                file.write(b"\x89PNG half a file")
                raise OSError(errno.ENOSPC, "No space left on device")
            write(file)

        return replacing(self, name_of, writes, fact)

    monkeypatch.setattr(image_files.KeptFiles, "add", add)
    run = trained(make_logger(sinks=[{"kind": "jsonl"}]), tmp_path, np.arange(4))
    assert run.accounts()[0].written == run.arrived
    assert sorted(files(tmp_path)) == sorted(tried[1::2])
    found = jaxlog.read_run(tmp_path).logged_images()
    assert len(found) == len(tried) == 10
    assert caplog.text.count("the file of an image could not be written: [Errno 28]") == 1
    gone = next(one for one in found if one.file is None)
    assert not gone.is_there
    with pytest.raises(FileNotFoundError, match="has no file, since it could not be written"):
        _ = gone.value
    assert "could not be written" in found._repr_html_()


KILLED = """
import os, signal, sys
import numpy as np
import jaxlog
from jaxlog.sinks import image_files
from tests.sinks.test_image_files import program

directory, kill_at = sys.argv[1], int(sys.argv[2])
real, count = image_files.image_png, []

def image_png(image):
    count.append(image)
    if len(count) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(image)

image_files.image_png = image_png
logger = jaxlog.Logger({"sinks": [{"kind": "jsonl", "keep_images": 9}]})
train, first, state = program(logger), 0, None
saved = directory + ".npz"
if os.path.exists(saved):
    with np.load(saved) as found:
        state, first = {key: found[key] for key in ("run", "mark")}, int(found["first"])
how = {"if_exists": "resume", "state": state} if state else {}
with logger.open(directory, **(how or {"if_exists": "replace"})) as run:
    for step in range(first, 24, 4):
        train(np.arange(step, step + 4))
        state = run.state()
        np.savez(saved + ".tmp.npz", first=step + 4, **state)
        os.replace(saved + ".tmp.npz", saved)
"""


def test_kills_leave_no_half_file_and_no_gap(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl", "keep_images": 9}])
    with logger.open(tmp_path / "whole"):
        jax.block_until_ready(program(logger)(np.arange(24)))
    directory, codes = tmp_path / "killed", []
    for kill_at in (3, 13, 6, 0):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(directory), str(kill_at)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        codes.append(done.returncode)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        for data in files(directory).values():
            own_pixels(data)
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert lines(directory) == lines(tmp_path / "whole")
    assert files(directory) == files(tmp_path / "whole")


def test_a_replaced_run_takes_its_files_along(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    trained(logger, tmp_path, np.arange(2))
    mine = [tmp_path / "images" / "train" / "mine.png", tmp_path / "images" / "own-step_1.png"]
    for path in mine:
        path.write_bytes(b"mine")
    trained(logger, tmp_path, np.arange(1), if_exists="replace")
    assert all(path.exists() for path in mine)
    assert len(files(tmp_path)) == 2 + 2 + 2
    assert len(lines(tmp_path)) == 2 + 2
    with pytest.raises(FileExistsError, match="holds a run already"):
        logger.open(tmp_path)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_file_is_read_as_it_was_written(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, channels)).astype(np.uint8)
    data = png(pixels)
    np.testing.assert_array_equal(own_pixels(data), pixels)
    np.testing.assert_array_equal(
        np.asarray(Pillow.open(io.BytesIO(data))).reshape(7, 5, -1), pixels
    )
    for broken in (data[:20], data[:-20], b"", b"GIF89a", data.replace(b"IDAT", b"IDAX")):
        with pytest.raises(ValueError, match="PNG file"):
            own_pixels(broken)
    other = io.BytesIO()
    Pillow.fromarray(pixels[:, :, 0]).convert("P").save(other, "PNG")
    with pytest.raises(ValueError, match="that jaxlog did not write; read it with Pillow"):
        own_pixels(other.getvalue())


@pytest.mark.parametrize(
    "file", ["../../secret.png", "images/../x.png", "images/x/y.gif", "images/x/a\0.png", 3]
)
def test_a_line_leads_nowhere_else(tmp_path: Path, file: Any) -> None:
    media = {"a": {"kind": "image", "height": 1, "width": 1, "channels": 3, "file": file}}
    line = {"timestamp": 0.0, "step": 0, "name": "eval", "lane": 0, "labels": {}, "media": media}
    (tmp_path / "media.jsonl").write_bytes(text_of(line, KINDS["media"]))
    (found,) = jaxlog.read_run(tmp_path).logged_images()
    assert found.file is None
    assert not media_lines.is_file_of_image(file)


@pytest.mark.parametrize(
    "media",
    [
        {"a": {"kind": "image", "height": 0, "width": 1, "channels": 3}},
        {"a": {"kind": "image", "height": 1, "width": 1, "channels": 2}},
        {"a": {"kind": "image", "height": 10**9, "width": 10**9, "channels": 1}},
        {"a": {"kind": "table", "columns": ["x"], "rows": [[1, 2]]}},
        {"a": {"kind": "table", "columns": ["x"], "rows": [[[1]]]}},
        {"a": {}},
        {"a": 3},
        [],
    ],
)
def test_a_damaged_line_is_left_out(tmp_path: Path, media: Any) -> None:
    line = {"timestamp": 0.0, "step": 0, "name": "eval", "lane": 0, "labels": {}}
    good = {"t": {"kind": "table", "columns": ["x"], "rows": [[1]]}, "new": {"kind": "sound"}}
    data = b"".join(orjson.dumps(line | {"media": one}) + b"\n" for one in (media, good))
    (tmp_path / "media.jsonl").write_bytes(data)
    run = jaxlog.read_run(tmp_path)
    with pytest.warns(UserWarning, match="1 line is not one of tables; left out"):
        (table,) = run.logged_tables()
    assert table.rows == ((1,),)
    with (
        pytest.warns(UserWarning, match="1 line is not one of images"),
        pytest.raises(LookupError, match="has logged no images of the name 'x'"),
    ):
        run.logged_images("x")
