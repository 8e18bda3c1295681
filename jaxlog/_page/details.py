"""The facts, the config and the settings of one run, and the configs of two side by side."""

from __future__ import annotations

import warnings
from typing import Any

from jaxlog._format.named_files import named_files
from jaxlog._page.followed import FollowedRun
from jaxlog._reading.finding import event_files, not_read
from jaxlog._terminal import plain
from jaxlog._text import counted
from jaxlog._watching.history import tally
from jaxlog._watching.run_facts import facts, lanes_of
from jaxlog._watching.shared_facts import json_of
from jaxlog.sinks import summaries

MOST_TEXT = 2**20
"""The most characters of the settings."""
MOST_KEYS = 5_000
"""The most keys of a config that are listed."""


def run_facts(followed: FollowedRun, version: int) -> dict[str, Any]:
    """The answer to `facts`: the same as `jaxlog show` lists.

    Raises:
      OSError: the run was removed.
    """
    run = followed.row.run
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        files = event_files(run.path)
        health = run.health(followed.row.done, tally(run, files))
        found = facts(run, health, lanes_of(followed.row.events), files)
    notes = [plain(str(warning.message)) for warning in caught] + not_read(named_files(run.path))
    settings = run.facts.get("settings")
    config = flat_config(run.facts.get("config"))
    if len(config) > MOST_KEYS:
        one, many = "key of the config is", "keys of the config are"
        notes.append(f"{counted(len(config) - MOST_KEYS, one, many)} not listed")
    return {
        "version": version,
        "name": plain(followed.row.name),
        "status": run.status,
        "status_text": run.status_text,
        "health": str(health),
        "facts": [[fact.label, fact.text, bool(fact.style)] for fact in found],
        "config": [[plain(name), text] for name, text in list(config.items())[:MOST_KEYS]],
        "settings": _settings_text(settings)[:MOST_TEXT],
        "notes": notes,
    }


def _settings_text(settings: Any) -> str:
    """Settings as YAML, a line for each."""
    if not isinstance(settings, dict):
        return ""
    return "\n".join(f"{plain(name)}: {json_of(value)}" for name, value in settings.items())


def configs(one: FollowedRun, other: FollowedRun, version: int) -> dict[str, Any]:
    """The answer to `configs`: the keys of both configs, those that differ marked."""
    first, second = (flat_config(run.row.run.facts.get("config")) for run in (one, other))
    names = list(dict.fromkeys((*first, *second)))
    rows = [
        [
            plain(name),
            first.get(name, ""),
            second.get(name, ""),
            first.get(name) != second.get(name),
        ]
        for name in names[:MOST_KEYS]
    ]
    left = counted(len(names) - MOST_KEYS, "key is", "keys are")
    notes = [f"{left} not listed"] if len(names) > MOST_KEYS else []
    return {
        "version": version,
        "names": [plain(one.row.name), plain(other.row.name)],
        "rows": rows,
        "notes": notes,
    }


def flat_config(config: Any) -> dict[str, str]:
    """The values of a config as texts, by dotted names."""
    if not isinstance(config, dict):
        return {}
    found = summaries.flat(config)
    return {
        str(name): plain(value if isinstance(value, str) else json_of(value))
        for name, value in found.items()
    }
