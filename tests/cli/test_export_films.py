"""`jaxlog export --episodes`: films of recorded episodes, read back by the tools of the formats."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence, features

import jaxlog
from jaxlog._render import film_files
from tests.cli.conftest import ROOT, Command, refused_without

SIDE = 5


def record(directory: Path, steps: int, calls: tuple[str, ...] = ("recorded",)) -> Path:
    """A run with one episode a call: a square moves, and a grid counts."""
    logger = jaxlog.Logger({"sample_frequency": 1, "sinks": [{"kind": "jsonl"}]})

    def values(step: int) -> dict[str, jax.Array]:
        screen = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        screen[0, step % SIDE, 2] = (255, 0, 0)
        return {
            "screen": jnp.asarray(screen),
            "grid": jnp.full((1, 3, 4), step, jnp.int32),
            "speed": jnp.full((1, 2), 0.5 * step),
        }

    with jax.numpy_dtype_promotion("standard"), logger.open(directory):
        for call in calls:
            recorder = jaxlog.empty_recorder(
                logger, values(0), num_episodes=1, max_steps=50, name=call
            )
            for step in range(steps):
                last = jnp.full(1, step == steps - 1)
                recorder = jaxlog.record_step(recorder, values(step), jnp.ones(1), last)
            jaxlog.log_episodes(logger, recorder, 0)
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("films") / "run", 12)


def only(folder: Path) -> Path:
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file


def expected(run: Path) -> np.ndarray:
    """The recorded screens, enlarged as the films are, with even sides."""
    (episode,) = jaxlog.read_run(run).recordings
    times = -(-256 // SIDE)
    pixels = episode.arrays["screen"].repeat(times, axis=1).repeat(times, axis=2)
    return np.pad(
        pixels, ((0, 0), (0, SIDE * times % 2), (0, SIDE * times % 2), (0, 0)), mode="edge"
    )


@pytest.mark.parametrize(("kind", "speed", "shown"), [("webp", 8, 125), ("gif", 8, 120)])
def test_pictures_show_each_step_for_its_time_and_loop(
    kind: str, speed: int, shown: int, run: Path, command: Command, tmp_path: Path
) -> None:
    code, out, err = command(
        "export", run, "--episodes", kind, "-o", tmp_path, "--frames-per-second", speed
    )
    assert (code, err) == (0, "")
    file = only(tmp_path)
    assert out == f"{file}: 12 steps, 1.5 s\n"
    assert file.parent == tmp_path / "films" / "recorded"
    with Image.open(file) as film:
        assert film.info["loop"] == 0
        frames = [
            (np.asarray(frame.convert("RGB")), frame.info["duration"])
            for frame in ImageSequence.Iterator(film)
        ]
    # Equal neighbours are merged into one that is shown for longer.
    assert sum(duration for _, duration in frames) == 12 * shown
    places = np.cumsum([0, *(duration for _, duration in frames)]) // shown
    for (pixels, _), place in zip(frames, places, strict=False):
        np.testing.assert_array_equal(pixels, expected(run)[place])


def test_a_video_has_all_steps(run: Path, command: Command, tmp_path: Path) -> None:
    assert command("export", run, "--episodes", "mp4", "-o", tmp_path).code == 0
    with av.open(only(tmp_path)) as container:
        (stream,) = container.streams.video
        assert stream.average_rate == 10
        assert stream.codec_context.name == "h264"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    wanted = expected(run)
    assert len(frames) == 12
    for pixels, whole in zip(frames, wanted, strict=True):
        assert pixels.shape == whole.shape
        assert np.abs(pixels.astype(int) - whole.astype(int)).mean() < 4


def test_another_array_has_one_scale_for_all_steps(
    run: Path, command: Command, tmp_path: Path
) -> None:
    arguments = ("--episodes", "webp", "--array", "grid", "-o", tmp_path)
    assert command("export", run, *arguments).code == 0
    with Image.open(only(tmp_path)) as film:
        colours = [
            np.asarray(frame.convert("RGB")).reshape(-1, 3)
            for frame in ImageSequence.Iterator(film)
        ]
    assert len({tuple(colour[0]) for colour in colours}) == 12
    assert all((colour == colour[0]).all() for colour in colours)


def test_a_function_of_the_user_draws(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def draw(step):\n"
        "    return np.full((300, 301, 3), int(step['grid'][0, 0]) * 20, np.uint8)\n"
        "def fail(step):\n    raise RuntimeError('no luck')\n"
        "def grow(step):\n    return np.zeros((3, 3 + int(step['grid'][0, 0]), 3), np.uint8)\n"
        "def text(step):\n    return 'no picture'\n"
        "def svg(step):\n"
        "    x = int(step['grid'][0, 0])\n"
        '    return (\'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 8">\'\n'
        '            f\'<rect x="{x}" width="1" height="8" fill="#00f"/></svg>\')\n'
    )

    def exported(name: str) -> Any:
        command = [sys.executable, "-m", "jaxlog", "export", str(run), "--episodes", "webp"]
        command += ["--renderer", f"mine:{name}", "-o", str(tmp_path / name), "--force"]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    assert exported("draw").returncode == 0
    with Image.open(only(tmp_path / "draw")) as film:
        assert film.size == (302, 300)
        levels = [int(np.asarray(frame)[0, 0, 0]) for frame in ImageSequence.Iterator(film)]
    assert levels == [20 * step for step in range(12)]
    assert exported("svg").returncode == 0
    with Image.open(only(tmp_path / "svg")) as film:
        assert film.size == (512, 256)
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    for place, pixels in enumerate(frames):
        blue = (pixels == (0, 0, 255)).all(axis=(0, 2))
        assert np.flatnonzero(blue).tolist() == list(range(32 * place, 32 * place + 32))
        assert (pixels[:, ~blue] == 255).all()
    assert len(frames) == 12
    failed = exported("fail")
    assert failed.returncode == 1
    first, last = failed.stderr.splitlines()
    assert first.startswith("jaxlog: export: episodes/recorded/")
    assert first.endswith(": step 0 cannot be drawn: RuntimeError: no luck")
    assert last == "jaxlog: export: 1 of 1 film could not be written; see above"
    assert (
        "frame 1: got shape [3, 4, 3], expected that of frame 0, [3, 3, 3]"
        in exported("grow").stderr
    )
    assert "got a text that is no SVG: unknown token at 1:1" in exported("text").stderr
    assert not any(path.is_file() for path in (tmp_path / "fail").rglob("*"))


def test_calls_have_folders_of_their_own(command: Command, tmp_path: Path) -> None:
    run = record(tmp_path / "run", 3, ("recorded", "eval"))
    assert command("export", run, "--episodes", "gif").code == 0
    films = sorted(path.relative_to(run) for path in (run / "export" / "films").rglob("*.gif"))
    assert [path.parts[2] for path in films] == ["eval", "recorded"]
    code, _, err = command("export", run, "--episodes", "gif")
    assert code == 2
    assert "would be overwritten, as 2 in all; pass --force" in err


def test_a_damaged_episode_does_not_hide_the_others(command: Command, tmp_path: Path) -> None:
    run = record(tmp_path / "run", 3, ("recorded", "eval"))
    damaged = run / jaxlog.read_run(run).recordings[0].file
    damaged.write_bytes(damaged.read_bytes()[:100])
    code, out, err = command("export", run, "--episodes", "gif")
    assert code == 1
    assert out.count("\n") == 1
    assert "1 of 2 films could not be written" in err
    assert damaged.name in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "expected either --to parquet, csv or dataset, for tables, or --episodes gif, mp4"),
        (("--to", "csv", "--episodes", "gif"), "expected either --to parquet, csv or dataset"),
        (
            ("--episodes", "gif", "--array", "speed"),
            "got 'speed', expected a recorded array with two axes besides that of the steps",
        ),
        (
            ("--episodes", "gif", "--frames-per-second", "0"),
            "got 0, expected more than 0 and at most 100",
        ),
        (("--episodes", "gif", "--renderer", "grid"), "got 'grid', expected module:function"),
        (
            ("--episodes", "gif", "--renderer", "atari/pong"),
            "got 'atari/pong', expected module:fun",
        ),
        (("--episodes", "gif", "--renderer", "no.such:thing"), "which cannot be imported"),
        (("--episodes", "gif", "--array", "grid", "--renderer", "a:b"), "expected one of them"),
    ],
)
def test_bad_arguments_are_errors(
    arguments: tuple[str, ...], why: str, run: Path, command: Command, tmp_path: Path
) -> None:
    code, _, err = command("export", run, *arguments, "-o", tmp_path / "out")
    assert code == 2
    assert why in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").rglob("*.gif"))


def test_a_run_without_recorded_episodes_says_so(command: Command, tmp_path: Path) -> None:
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
    code, _, err = command("export", tmp_path / "run", "--episodes", "gif")
    assert code == 2
    assert "has no episodes that were recorded whole; record some with jaxlog.record_step" in err


@pytest.mark.parametrize(("package", "kind"), [("PIL", "gif"), ("av", "mp4")])
def test_without_its_extra_it_says_what_to_install(
    package: str, kind: str, run: Path, tmp_path: Path
) -> None:
    refused_without(package, "export", run, "--episodes", kind, "-o", tmp_path, extra="film")


@pytest.mark.parametrize(
    ("kind", "named"), [("mp4", "av without H.264 (libnone)"), ("webp", "pillow without WebP")]
)
def test_a_build_without_the_codec_is_named_once(
    kind: str,
    named: str,
    run: Path,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(film_files, "_ENCODER", "libnone")
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    code, _, err = command("export", run, "--episodes", kind, "-o", tmp_path / "out")
    assert code == 2
    assert f"export: {kind}: got a build of {named}, expected that of PyPI, which has it" in err
    assert not [*tmp_path.rglob("*.*")]


def played(directory: Path, renderer: str | None, *names: str) -> Path:
    """A run with an episode of a game of pgx in each call, played with random legal moves."""
    import pgx

    logger = jaxlog.Logger({"sample_frequency": 1, "sinks": [{"kind": "jsonl"}]})
    env = pgx.make("tic_tac_toe")
    init, step = jax.jit(jax.vmap(env.init)), jax.jit(jax.vmap(env.step))
    with jax.numpy_dtype_promotion("standard"), logger.open(directory):
        for call in names or ("recorded",):
            state = init(jax.random.split(jax.random.key(0), 1))
            recorder = jaxlog.empty_recorder(
                logger, {"state": state}, num_episodes=1, name=call, renderer=renderer
            )
            for number in range(9):
                action = jnp.argmax(state.legal_action_mask, axis=-1)
                after = step(state, action)
                over = after.terminated | (number == 8)
                recorder = jaxlog.record_step(recorder, {"state": state}, after.rewards[:, 0], over)
                state = after
                if bool(over[0]):
                    break
            jaxlog.log_episodes(logger, recorder, 0)
    return directory


@pytest.mark.filterwarnings("default")  # those of pgx
def test_a_library_draws_the_states_of_the_environment_that_was_recorded(
    command: Command, tmp_path: Path
) -> None:
    import pgx

    from jaxlog._render.svg_pixels import pixels_of_svg

    run = played(tmp_path / "run", "pgx/tic_tac_toe")
    (episode,) = jaxlog.read_run(run).recordings
    assert episode.renderer == "pgx/tic_tac_toe"
    for name in ("pgx", "pgx/tic_tac_toe"):
        out = tmp_path / name
        assert command("export", run, "--episodes", "webp", "--renderer", name, "-o", out).code == 0
        with Image.open(only(out)) as film:
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
        assert len(frames) == len(episode) >= 5
        env = pgx.make("tic_tac_toe")
        state = env.init(jax.random.key(0))
        for pixels in frames:  # the library's picture of the state that it plays itself
            np.testing.assert_array_equal(pixels, pixels_of_svg(state.to_svg()))
            state = env.step(state, jnp.argmax(state.legal_action_mask))


@pytest.mark.filterwarnings("default")
def test_what_a_library_cannot_draw_is_said(command: Command, tmp_path: Path) -> None:
    def exported(run: Path, renderer: str) -> Any:
        where = tmp_path / "films" / renderer
        return command("export", run, "--episodes", "gif", "--renderer", renderer, "-o", where)

    run = played(tmp_path / "run", None)
    code, _, err = exported(run, "pgx")
    assert code == 1
    assert "the episode does not say from which environment it is; pass --renderer pgx/ENV" in err
    code, _, err = exported(run, "pgx/othello")
    assert code == 1
    assert "has shape [9], not [65]" in err
    assert (
        "pgx cannot draw such an environment: ValueError: Wrong env_id"
        in exported(run, "pgx/checkers").err
    )
    assert "xminigrid, which is not installed: pip install" in exported(run, "xminigrid/x").err
    named = played(tmp_path / "named", "pgx/tic_tac_toe")
    assert "got 'gymnax', but the episode is of pgx/tic_tac_toe" in exported(named, "gymnax").err


@pytest.mark.filterwarnings("default")
def test_episodes_that_cannot_be_drawn_do_not_hide_the_others(
    command: Command, tmp_path: Path
) -> None:
    run = played(tmp_path / "run", "pgx/tic_tac_toe", "first", "second")
    damaged = run / jaxlog.read_run(run).recordings[0].file
    damaged.write_bytes(damaged.read_bytes()[:100])
    code, out, err = command("export", run, "--episodes", "gif", "--renderer", "pgx")
    assert code == 1
    assert out.count("\n") == 1
    assert damaged.name in err
    assert len(list((run / "export" / "films").rglob("*.gif"))) == 1
