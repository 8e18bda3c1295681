"""The mazes, in short: the files tell one story, which is that of the walks."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "single_env.py"
EPISODES = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run's directory, and what the example printed."""
    where = tmp_path_factory.mktemp("single_env")
    command = [sys.executable, EXAMPLE, "--episodes", str(EPISODES), "--directory", "run"]
    done = subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    return where / "run", done.stdout


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def shortest(maze: np.ndarray) -> int:
    """How many moves it takes from the player to the goal, breadth first."""
    (start,), (goal,) = np.argwhere(maze == 2).tolist(), np.argwhere(maze == 3).tolist()
    queue, distance = collections.deque([tuple(start)]), {tuple(start): 0}
    while queue:
        row, column = cell = queue.popleft()
        for other in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if maze[other] != 5 and other not in distance:
                distance[other] = distance[cell] + 1
                queue.append(other)
    return distance[tuple(goal)]


def test_the_files_agree(run: tuple[Path, str]) -> None:
    directory, _ = run
    tasks, steps = read(directory / "tasks.jsonl"), read(directory / "steps.jsonl")
    episodes = read(directory / "episodes.jsonl")
    assert [line["task"]["task_id"] for line in tasks] == ["rooms", "spiral"]
    assert [line["step"] for line in steps] == list(range(len(steps)))
    assert len(episodes) == 2 * EPISODES
    for index, line in enumerate(episodes):
        of_it = [step for step in steps if step["episode"] == index]
        episode, states = line["episode"], line["details"]
        assert line["labels"] == {"task_id": ["rooms", "spiral"][index // EPISODES]}
        assert {step["labels"]["task_id"] for step in of_it} == set(line["labels"].values())
        assert episode["total_steps"] == len(of_it)
        assert line["step"] == of_it[-1]["step"]
        rewards = [step["values"]["reward"] for step in of_it]
        assert episode["total_reward"] == pytest.approx(np.sum(rewards))
        assert episode["success"] == (rewards[-1] == 1.0)
        assert states["final_state"] == of_it[-1]["details"]["state"]
        assert states["initial_state"] == tasks[index // EPISODES]["details"]["maze"]


def test_it_learns_short_ways(run: tuple[Path, str]) -> None:
    directory, _ = run
    episodes = read(directory / "episodes.jsonl")
    for index, task in enumerate(read(directory / "tasks.jsonl")):
        lengths = [
            line["episode"]["total_steps"]
            for line in episodes[index * EPISODES : (index + 1) * EPISODES]
        ]
        best = shortest(np.array(task["details"]["maze"]))
        assert min(lengths) >= best
        assert np.mean(lengths[-10:]) < 1.5 * best < np.mean(lengths[:10])
    evaluations = read(directory / "evaluations.jsonl")
    assert [line["evaluation"]["task_id"] for line in evaluations] == 3 * ["rooms"] + 3 * ["spiral"]
    assert evaluations[-1]["evaluation"]["success_rate"] == 1.0
    assert [line["step"] for line in evaluations] == [
        episodes[index]["step"] for index in (19, 39, 59, 79, 99, 119)
    ]


def test_each_walk_is_a_picture_and_the_terminal_tells_of_it(run: tuple[Path, str]) -> None:
    directory, said = run
    pictures = sorted((directory / "svg" / "episode").glob("*.svg"))
    steps = [line["step"] for line in read(directory / "episodes.jsonl")]
    assert [path.name for path in pictures] == [f"step_{step:010d}.svg" for step in steps]
    assert not (directory / "svg" / "steps").exists()
    for path in (pictures[0], pictures[-1]):
        assert {
            "initial",
            "final",
            "task_id rooms" if path == pictures[0] else "task_id spiral",
        } <= {
            element.text
            for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
        }
    assert "The run is in run. To look at it:" in said
    assert sum(line.startswith("episode") for line in said.splitlines()) == 2 * EPISODES
