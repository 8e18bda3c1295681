"""Decodes the episodes that a recorder followed, from the record of one lane."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxlog._format.delivery import Words
from jaxlog._format.events import EpisodeSteps, ReadOnlyDict
from jaxlog._format.names import look_up
from jaxlog._format.recording import ENDS, OF_SLOTS, REWARDS, EpisodeSchema

RETURN, LENGTH = (look_up(name).episode_key for name in ("episode_returns", "episode_lengths"))


def recorded_episodes(
    schema: EpisodeSchema, words: Words, rebuild: Callable[[Mapping[str, Any]], Any]
) -> Iterator[tuple[ReadOnlyDict, EpisodeSteps]]:
    """The episodes of one record that have ended, by environment: summary and steps of each.

    Args:
      schema: the layout of the record.
      words: the words of one record.
      rebuild: builds the pytree that was recorded from its leaves by path.
    """
    of_slots = {name: schema.read(words, "recorded", name)[0] for name in OF_SLOTS}
    slots = schema.read(words, "recorded", "words")[0]
    ended = [slot for slot, status in enumerate(of_slots["status"].tolist()) if status in ENDS]
    order = of_slots["environments"], of_slots["numbers"]
    for slot in sorted(ended, key=lambda slot: (order[0][slot], order[1][slot])):
        one = {name: values[slot] for name, values in of_slots.items()}
        length = int(one["lengths"])
        read = schema.layout.read(slots[slot], length)
        arrays = {path[1]: array for path, array in read.items() if len(path) == 2}
        rewards, steps = read[REWARDS,], schema.layout.steps(length)
        for array in (rewards, steps, *arrays.values()):
            array.flags.writeable = False
        at = np.unravel_index(one["environments"], schema.batch_shape)
        episode: dict[str, Any] = {"environment_id": int(at[-1])}
        if len(at) > 1:
            episode["batch_index"] = [int(k) for k in at]
        episode |= {
            "episode_number": int(one["numbers"]),
            RETURN: one["returns"],
            LENGTH: length,
            "end": ENDS[int(one["status"])],
            "recorded_steps": len(steps),
        }
        if not math.isnan(one["chances"]):
            episode["chance"] = one["chances"]
        yield (
            ReadOnlyDict(episode),
            EpisodeSteps(
                steps,
                rewards,
                ReadOnlyDict(arrays),
                rebuild(arrays),
                schema.layout.leaves,
                schema.layout.renderer,
            ),
        )
