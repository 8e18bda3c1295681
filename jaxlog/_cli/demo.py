"""`jaxlog demo`: the example that trains and logs, from an installation too."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli.errors import CommandError

_PACKAGE = Path(__file__).parents[1]
# In a wheel they lie in the package, in a checkout beside it.
_ROOT = _PACKAGE if (_PACKAGE / "examples").is_dir() else _PACKAGE.parent

_Config = Annotated[
    Path,
    tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: configs/batched.yaml)"),
]
_Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]


def demo(
    *,
    config: _Config = _ROOT / "configs" / "batched.yaml",
    directory: _Directory = None,
    num_updates: int = 300,
    num_seeds: int = 4,
) -> int:
    """Train PPO on CartPole, several seeds in one compiled program, and log it live.

    Args:
      config: The settings of its logger; configs/full.yaml has every sink.
      directory: Of the run. By default a new one in `runs`.
      num_updates: How often each seed collects and learns.
      num_seeds: How many train side by side.

    Returns:
      0.

    Raises:
      CommandError: what it trains with is not installed.
      ConfigError: the settings cannot be used.
      OSError: the run cannot be opened.
    """
    for name, number in (("--num-updates", num_updates), ("--num-seeds", num_seeds)):
        if number < 1:
            raise CommandError(f"demo: {name}: got {number}, takes 1 or more")
    try:
        example = runpy.run_path(str(_ROOT / "examples" / "ppo_cartpole.py"))
    except ModuleNotFoundError as error:
        raise CommandError(
            f"demo: needs {error.name}, which is not installed: pip install 'jaxlog[demo]'"
        ) from None
    example["main"](config, directory, num_updates, num_seeds)
    return 0
