"""The layout of recorded episodes: which steps are kept, and where the arrays of a step are.

The program side packs the steps of an episode into words, and the host side reads them, in NumPy.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxlog._format.delivery import Words
from jaxlog._format.events import Leaf
from jaxlog._format.schema import Field, Schema

Keep = Literal["first", "last"]
"""Which steps are kept of an episode that has more than `max_steps`."""

FREE, RUNNING = 0, 1
"""The status of a slot without an episode, and of one whose episode is running."""
ENDS: dict[int, str] = {2: "ended", 3: "terminated", 4: "truncated", 5: "given_up"}
"""The end of an episode, by the status of its slot. `ended` is an end of either kind, if the
program passed one flag for both; `given_up` is an episode that was still running."""
ENDED, TERMINATED, TRUNCATED, GIVEN_UP = ENDS

MAX_RECORDING_BYTES = 2**24
"""The most bytes of the episodes of one record."""

LIBRARIES = ("brax", "craftax", "gymnax", "jumanji", "navix", "pgx", "xminigrid")
"""The libraries that draw the states of their environments, by which `LIBRARY/ENVIRONMENT` names a
renderer."""

REWARDS = "rewards"
"""The name of the rewards among the arrays of an episode, before those that the program gives."""

OF_SLOTS = ("environments", "numbers", "status", "lengths", "returns", "chances")
"""The arrays in a record that have a value for each slot, by their names in the section
`recorded`."""


@dataclass(frozen=True)
class StepLayout:
    """The arrays of one step of an episode, and which steps are kept.

    Attributes:
      fields: the arrays of one step. The path is `(rewards,)` for the rewards, and `(values, name)`
        for the arrays that the program gives.
      leaves: the places of the latter in the program's pytree, in the same order.
      max_steps: the most steps that are kept of an episode.
      every: of the steps, each n-th is kept, from the first one on.
      keep: which ones are kept, if there are more.
      renderer: the name of the renderer that draws a step; empty if the program gave none.
    """

    fields: tuple[Field, ...]
    leaves: tuple[Leaf, ...]
    max_steps: int
    every: int
    keep: Keep
    renderer: str = ""

    @property
    def num_words(self) -> int:
        """The number of words of one step."""
        return sum(field.num_words for field in self.fields)

    def steps(self, length: int) -> np.ndarray:
        """The indices of the steps that are kept of an episode with `length` steps, ascending.

        >>> StepLayout((), (), max_steps=3, every=2, keep="last").steps(10).tolist()
        [4, 6, 8]
        """
        every = np.arange(0, length, self.every)
        return every[: self.max_steps] if self.keep == "first" else every[-self.max_steps :]

    def read(self, words: np.ndarray, length: int) -> dict[tuple[str, ...], np.ndarray]:
        """Reads the arrays of an episode, each as `dtype[steps, *shape]`, by path.

        Args:
          words: `uint32[max_steps, num_words]`, the slot of the episode.
          length: the number of steps of the episode.
        """
        rows = self.steps(length) // self.every % self.max_steps
        schema = Schema("", self.fields, head=0)
        kept = Words(np.zeros((0, len(rows)), np.uint32), words[rows])
        return {field.path: schema.read(kept, *field.path) for field in self.fields}

    def described(self) -> str:
        """The layout as a text, the same for equal layouts."""
        of_fields = [f"{'/'.join(f.path)}:{f.dtype.name}{list(f.shape)}" for f in self.fields]
        return "|".join(
            [*of_fields, str(self.leaves), str(self.max_steps), str(self.every), self.keep]
            + ([self.renderer] if self.renderer else [])
        )


@dataclass(frozen=True)
class EpisodeSchema(Schema):
    """The fields of a record of whole episodes.

    The section `recorded` has the arrays of `OF_SLOTS`, each with a value for each slot, and
    `words`: `uint32[slots, max_steps, words]`, the steps of each episode.

    Attributes:
      layout: the arrays of a step, and which steps are kept.
    """

    layout: StepLayout = StepLayout((), (), 1, 1, "first")

    @functools.cached_property
    def call_number(self) -> int:
        """As `Schema.call_number`, of the layout of a step too."""
        of_record = Schema(self.name, self.fields, self.batch_shape, self.edges, self.head)
        return zlib.crc32(f"{of_record.call_number}|{self.layout.described()}".encode())
