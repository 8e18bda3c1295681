"""Films of recorded episodes: what the page is told of them, and that it plays them."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxlog
from jaxlog._page import films, vendored
from jaxlog._page.asked import AbsentError
from tests.browser import REQUIRED, Open, Opened
from tests.page.conftest import Page
from tests.report.pages import page_of

NUM_ENVS, LENGTH, UPDATES = 8, 10, 6


def screen(position: jax.Array) -> jax.Array:
    empty = jnp.zeros((NUM_ENVS, 7, 7, 3), jnp.uint8)
    return empty.at[jnp.arange(NUM_ENVS), position + 3, 3].set(jnp.array([255, 80, 0], jnp.uint8))


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Walks on a line that end at both ends of it."""
    logger = jaxlog.Logger(
        {"log_frequency": 1, "sample_frequency": 1, "sinks": [{"kind": "jsonl"}]},
        total_updates=UPDATES,
    )

    def play(carry: Any, key: jax.Array) -> Any:
        position, recorder = carry
        moved = position + jax.random.randint(key, (NUM_ENVS,), -1, 2)
        ended = abs(moved) >= 3
        step = {"position": position, "screen": screen(position)}
        reward = jnp.where(ended, 1.0, -0.25)
        recorder = jaxlog.record_step(recorder, step, reward, ended)
        return (jnp.where(ended, 0, moved), recorder), None

    def update(carry: Any, number: jax.Array) -> Any:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), LENGTH)
        (position, recorder), _ = jax.lax.scan(play, carry, keys)
        jaxlog.log(logger, number, {"height": position[0]})
        _, recorder = jaxlog.log_episodes(logger, recorder, number)
        return (position, recorder), None

    directory = tmp_path_factory.mktemp("films") / "runs" / "walk"
    with jax.numpy_dtype_promotion("standard"):
        position = jnp.zeros(NUM_ENVS, int)
        example = {"position": position, "screen": screen(position)}
        recorder = jaxlog.empty_recorder(logger, example, num_episodes=3, max_steps=40)
        with logger.open(directory):
            jax.block_until_ready(jax.lax.scan(update, (position, recorder), jnp.arange(UPDATES)))
    return directory


def films_of(page: Page) -> list[dict[str, Any]]:
    (run,) = page.ids().values()
    return page(f"pictures?run={run}")["films"]


def test_a_film_has_the_steps_of_its_episode(walks: Path) -> None:
    page = Page(walks)
    page.look()
    recorded = jaxlog.read_run(walks).recordings
    listed = films_of(page)
    assert len(listed) == len(recorded) > 3
    for number, episode in enumerate(recorded):
        one = listed[len(recorded) - 1 - number]  # the newest first
        assert f"environment {episode.episode['environment_id']} " in one["title"]
        film = page(one["source"])
        assert film["steps"] == episode.steps.tolist()
        assert film["rewards"] == episode.rewards.tolist()
        np.testing.assert_allclose(film["returns"], np.cumsum(episode.rewards))
        assert film["lines"] == [
            {"name": "position", "values": episode.arrays["position"].tolist()}
        ]
        assert (film["array"], film["arrays"]) == ("screen", ["screen"])
        for address, pixels in zip(film["frames"], episode.arrays["screen"], strict=True):
            png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), pixels)


def test_a_long_episode_is_thinned_and_says_so(
    walks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(films, "MOST_STEPS", 3)
    page = Page(walks)
    page.look()
    episode = jaxlog.read_run(walks).recordings[-1]
    film = page(films_of(page)[0]["source"])
    last = len(episode.steps) - 1
    assert film["steps"] == [0, round(last / 2), last]
    assert film["returns"][-1] == pytest.approx(float(episode.rewards.sum()))
    assert film["notes"] == [f"3 of {last + 1} recorded steps are shown, spread evenly"]


def test_frames_have_a_limit(walks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "MOST_BYTES", 200)
    page = Page(walks)
    page.look()
    film = page(films_of(page)[0]["source"])
    assert film["frames"] == []
    assert film["notes"] == ["the frames are too large to be shown"]


def test_an_episode_whose_file_is_gone_is_not_listed(walks: Path, tmp_path: Path) -> None:
    copy = tmp_path / "walk"
    shutil.copytree(walks, copy)
    page = Page(copy)
    page.look()
    first, *others = films_of(page)
    (copy / jaxlog.read_run(copy).recordings[-1].file).unlink()
    again = Page(copy)
    again.look()
    assert films_of(again) == others
    with pytest.raises(AbsentError, match="as keep_episodes of the sink says"):
        again(first["source"])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("episode=", "is no recorded episode of this run"),
        ("episode=99", "is no recorded episode of this run"),
        ("episode=../run.json", "is no recorded episode of this run"),
        ("episode=0&array=position", "is no array of this episode with frames"),
    ],
)
def test_what_is_no_film_is_said(walks: Path, asked: str, why: str) -> None:
    page = Page(walks)
    page.look()
    (run,) = page.ids().values()
    with pytest.raises(AbsentError, match=why):
        page(f"film?run={run}&{asked}")


@pytest.mark.skipif(
    bool(vendored.missing()) and os.environ.get(REQUIRED) != "required",
    reason=f"the charts are not here; run: {vendored.COMMAND}",
)
def test_a_browser_plays_them_alone_and_in_step(
    walks: Path, tmp_path: Path, open_page: Open
) -> None:
    parsed = page_of(tmp_path / "page.html", walks)
    listed = json.loads(parsed.answers()[parsed.addresses("pictures")[0]])["films"]
    opened = open_page(tmp_path / "page.html")
    players = opened.page.locator("figure.film")
    opened.page.wait_for_function("() => document.querySelectorAll('figure.film img').length === 4")
    first, second = players.nth(0), players.nth(1)
    film = json.loads(parsed.answers()[listed[0]["source"]])
    opened.page.wait_for_function("() => document.querySelector('figure.film .said').textContent")
    assert f"step 0 of {film['total_steps']} · reward -0.25" in first.inner_text()
    first.focus()
    opened.page.keyboard.press("ArrowRight")
    assert first.locator("img").get_attribute("src") == film["frames"][1]
    assert "step 1 of" in first.inner_text()
    assert "step 0 of" in second.inner_text()  # each has a time of its own
    opened.page.keyboard.press("End")
    assert f"reward 1 · return {film['returns'][-1]:g}" in first.inner_text()
    opened.page.get_by_label("in step").check()
    first.focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    assert "step 1 of" in second.inner_text()
    first.get_by_role("combobox", name="speed").select_option("8")
    first.get_by_role("button", name="play").click()
    longest = max(json.loads(parsed.answers()[one["source"]])["total_steps"] for one in listed[:4])
    opened.page.wait_for_function(
        "text => document.querySelector('.films').textContent.includes(text)",
        arg=f"step {longest - 1} of {longest}",
    )
    opened.page.wait_for_function(
        "() => [...document.querySelectorAll('.play')].every(one => one.textContent === 'play')"
    )
    quiet(opened)


def quiet(opened: Opened) -> None:
    assert opened.said == []
    assert opened.asked == []
