"""`jaxlog demo`: run the PPO example, from a checkout or an installation."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli.errors import CommandError

_PACKAGE = Path(__file__).parents[1]
# A wheel has examples and configs in the package; a checkout has them beside it.
_ROOT = _PACKAGE if (_PACKAGE / "examples").is_dir() else _PACKAGE.parent

_Settings = Annotated[
    Path,
    tyro.conf.arg(
        aliases=["--config"],  # its name before
        metavar="FILE",
        help_behavior_hint="(default: configs/batched.yaml)",
    ),
]
_Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")]


def demo(
    *,
    settings: _Settings = _ROOT / "configs" / "batched.yaml",
    directory: _Directory = None,
    num_updates: int = 300,
    num_seeds: int = 4,
) -> int:
    """Train PPO on CartPole, several seeds in one compiled program, and log it live.

    Args:
      settings: Settings file of the logger; configs/full.yaml has every sink.
      directory: Directory of the run; by default a new one in `runs`.
      num_updates: Number of updates of each seed.
      num_seeds: Number of seeds that train side by side.

    Returns:
      0.

    Raises:
      CommandError: a package of the extra `demo` is not installed.
      ConfigError: the settings cannot be used.
      OSError: the run cannot be opened.
    """
    for name, number in (("--num-updates", num_updates), ("--num-seeds", num_seeds)):
        if number < 1:
            raise CommandError(f"demo: {name}: got {number}, expected 1 or more")
    try:
        example = runpy.run_path(str(_ROOT / "examples" / "ppo_cartpole.py"))
    except ModuleNotFoundError as error:
        raise CommandError(
            f"demo: needs {error.name}, which is not installed: pip install 'jaxlog[demo]'"
        ) from None
    example["main"](settings, directory, num_updates, num_seeds)
    return 0
