"""Q-learning in mazes: one environment, stepped from a plain Python loop, and logged from there.

Nothing here is compiled, and the maze is in NumPy: the loop calls methods of the logger. A task is
a maze, a step is a move, and an episode is one walk to the goal. The learned policy is evaluated
every few episodes. `configs/basic.yaml` has the settings: JSONL, terminal and pictures.

Run it with `python examples/single_env.py`, or with `--help`. It needs no extra.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

import jaxlog

MAZES = {
    "rooms": """\
#########
#S..#...#
#...#...#
#.......#
#...#...#
##.###.##
#...#...#
#...#..G#
#########
""",
    "spiral": """\
#########
#S......#
#######.#
#.....#.#
#.###.#.#
#.#G..#.#
#.#####.#
#.......#
#########
""",
}
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
FLOOR, PLAYER, GOAL, TRAIL, WALL = 0, 2, 3, 4, 5  # black, red, green, yellow and grey in pictures

Cell = tuple[int, int]  # row, column


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Q-learning."""

    episodes: int = 60  # walks in each maze
    max_steps: int = 200  # moves after which a walk ends
    evaluate_every: int = 20  # episodes between evaluations
    exploration: float = 0.1  # probability of a random move
    learning_rate: float = 0.5
    discount: float = 0.95
    seed: int = 0


class Maze:
    """A maze with one player, who must reach the goal."""

    def __init__(self, plan: str) -> None:
        self.cells = np.array([list(line) for line in plan.splitlines()])
        self.start = self.find("S")
        self.goal = self.find("G")
        self.reset(self.start)

    def find(self, sign: str) -> Cell:
        """Return the cell with this sign in the plan."""
        row, column = np.argwhere(self.cells == sign)[0].tolist()
        return row, column

    def reset(self, player: Cell) -> None:
        """Put the player into a cell."""
        self.player = player
        self.visited = [player]

    def step(self, action: int) -> tuple[float, bool]:
        """Move unless a wall is there; return the reward, and whether the goal is reached."""
        row, column = (a + b for a, b in zip(self.player, MOVES[action], strict=True))
        if self.cells[row, column] != "#":
            self.player = row, column
            self.visited.append(self.player)
        reached = self.player == self.goal
        return (1.0 if reached else -0.01), reached

    def picture(self) -> np.ndarray:
        """Return the maze as a grid of integers, [rows, columns], which jaxlog draws in colours."""
        grid = np.where(self.cells == "#", WALL, FLOOR)
        for cell in self.visited:
            grid[cell] = TRAIL
        grid[self.goal] = GOAL
        grid[self.player] = PLAYER
        return grid


def run_episode(
    logger: jaxlog.Logger,
    maze: Maze,
    values: np.ndarray,
    config: Config,
    generator: np.random.Generator,
) -> None:
    """Walk through the maze once, learn from each move, and log each step and the episode."""
    maze.reset(maze.start)
    initial_state = maze.picture()
    total_reward, num_steps, reached = 0.0, 0, False
    while not reached and num_steps < config.max_steps:
        cell = maze.player
        if generator.random() < config.exploration:
            action = int(generator.integers(len(MOVES)))
        else:
            action = int(values[cell].argmax())
        reward, reached = maze.step(action)
        future = 0.0 if reached else values[maze.player].max()
        error = reward + config.discount * future - values[cell][action]
        values[cell][action] += config.learning_rate * error
        total_reward += reward
        num_steps += 1
        logger.log_step(
            {"action": action, "reward": reward, "td_error": error, "state": maze.picture()}
        )
    logger.log_episode_summary(
        {
            "total_reward": total_reward,
            "total_steps": num_steps,
            "success": reached,
            "initial_state": initial_state,
            "final_state": maze.picture(),
        }
    )


def reaches_goal(maze: Maze, values: np.ndarray, start: Cell, max_steps: int) -> bool:
    """Return whether the learned policy, without exploration, walks from a cell to the goal."""
    maze.reset(start)
    return any(maze.step(int(values[maze.player].argmax()))[1] for _ in range(max_steps))


def evaluate(maze: Maze, values: np.ndarray, max_steps: int) -> dict[str, float]:
    """Return the share of cells from which the learned policy finds the goal."""
    starts = [(row, column) for row, column in np.argwhere(maze.cells == ".").tolist()]
    reached = [reaches_goal(maze, values, start, max_steps) for start in starts]
    return {"success_rate": sum(reached) / len(starts), "num_episodes": len(starts)}


SETTINGS = Path(__file__).parent.parent / "configs" / "basic.yaml"


def main(
    settings: Path = SETTINGS, directory: Path | None = None, episodes: int = Config.episodes
) -> None:
    """Q-learning in two mazes, logged from a Python loop.

    Args:
      settings: Settings file of the logger.
      directory: Directory of the run; by default a new one in `runs`.
      episodes: Number of walks in each maze.
    """
    config = Config(episodes=episodes)
    logger = jaxlog.Logger(settings)
    directory = directory or Path("runs") / time.strftime("single_env-%Y%m%d-%H%M%S")
    generator = np.random.default_rng(config.seed)
    with logger.open(directory, config=dataclasses.asdict(config)):
        for task_id, plan in MAZES.items():
            maze = Maze(plan)
            values = np.zeros((*maze.cells.shape, len(MOVES)))
            logger.log_task_start({"task_id": task_id, "maze": maze.picture()})
            for episode in range(config.episodes):
                run_episode(logger, maze, values, config, generator)
                if (episode + 1) % config.evaluate_every == 0:
                    found = evaluate(maze, values, config.max_steps)
                    logger.log_evaluation_summary({"task_id": task_id, **found})

    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog show {directory}")
    print(f"  jaxlog report {directory} -o report.html")
    print(
        f"Pictures of the first and last state of each walk are in {directory / 'svg' / 'episode'}."
    )


if __name__ == "__main__":
    tyro.cli(main)
