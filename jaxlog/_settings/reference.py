"""Generates two documents from the models of the settings: a JSON Schema and a page of the docs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jaxlog._settings.alerts import AlertSettings, AlertTarget
from jaxlog._settings.deprecated import KEYS as DEPRECATED
from jaxlog._settings.models import LoggingConfig
from jaxlog.sinks import BUILT_IN, sink_class


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a settings file, for editors and other tools.

    It has the keys of jaxlog's own sinks. Sinks of other packages may have any keys, so that the
    schema does not depend on the environment. It uses draft 7, which most editors support. All that
    it refuses, `load_config` refuses. It cannot check everything: whether a renderer can be
    imported, for example.

    >>> json_schema()["properties"]["log_frequency"]["default"]
    10
    """
    schema = LoggingConfig.model_json_schema()
    keys = schema["properties"]
    keys["sinks"]["items"] = _a_sink()
    extends = {"type": "string", "minLength": 1}
    return _without_titles(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "description": "Settings of jaxlog.",
            "type": "object",
            "properties": {
                "extends": {
                    "description": "The file whose settings apply where this file has none, or "
                    "several, of which later ones win; relative to this file.",
                    "anyOf": [extends, {"type": "array", "items": extends}],
                },
                **keys,
                **{
                    key: {
                        "description": "A key of an older, asynchronous logger. It has no effect.",
                        "deprecated": True,
                        "deprecationMessage": "This key has no effect any more: delete it.",
                    }
                    for key in DEPRECATED
                },
            },
            "additionalProperties": False,
            "definitions": {kind: _keys_of(kind) for kind in BUILT_IN},
        }
    )


def _a_sink() -> dict[str, Any]:
    """A sink: one of jaxlog's with the keys of its kind, or one of another package."""
    known = [{"const": kind, "description": _of_sink(kind)} for kind in BUILT_IN]
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "description": "The kind of sink.",
                "anyOf": [*known, {"type": "string", "not": {"enum": list(BUILT_IN)}}],
            }
        },
        # With `oneOf`, a validator could not name the wrong key.
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/definitions/{kind}"},
            }
            for kind in BUILT_IN
        ],
    }


def _keys_of(kind: str) -> dict[str, Any]:
    return sink_class(kind).Settings.model_json_schema()


def _of_sink(kind: str) -> str:
    """The docstring of a sink's settings."""
    return " ".join(_keys_of(kind).get("description", "").split())


def _without_titles(schema: Any) -> Any:
    """The schema without pydantic's titles, for which editors would show each name twice."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(part)
            for key, part in schema.items()
            if not (key == "title" and isinstance(part, str))
        }
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema


_BEGIN = """\
# Settings

*`make schema` generates this page from the models in `jaxlog/_settings` and `jaxlog/sinks`.*

After this page you can write a settings file, check it, and change single settings from the command
line. A YAML file has all settings, and `jaxlog.load_config` reads it. A key that is left out has
its default. An unknown key, or a value of another type, is an error with its line, its column and
what was expected. Start with one of the files in `configs/`:

| file | for |
|---|---|
| [basic.yaml](../configs/basic.yaml) | one environment, stepped from Python |
| [batched.yaml](../configs/batched.yaml) | batches in a compiled program; it has every key |
| [full.yaml](../configs/full.yaml) | every sink |
| [wandb.yaml](../configs/wandb.yaml) | Weights & Biases |
| [sweep.yaml](../configs/sweep.yaml) | seeds and learning rates under `vmap`, a W&B run each |
| [debug.yaml](../configs/debug.yaml) | everything, at each update; errors of logging are raised |

`jaxlog check FILE` lists all problems of a file. An editor that supports JSON Schema (VS Code with
its YAML extension, for example) completes and checks a file that begins with the line below. It has
the path, relative to that file, of [configs/schema.json](../configs/schema.json), or of the file
that `jaxlog schema > schema.json` writes:

```yaml
# yaml-language-server: $schema=schema.json
```

Unlike in YAML 1.1, `1e-3` is a number, `on` and `no` are text, and a repeated key is an error.

## Loading

```python
import jaxlog

config = jaxlog.load_config(
    "configs/full.yaml",
    "log_frequency=5",  # overrides are texts: *sys.argv[1:], for example
    "sinks.wandb.project=maze",  # a sink by its kind; sinks.2 is one by its index
    "statistics.eval/episode_returns=[mean, p95]",  # a metric's name may have dots and slashes
    "histograms.episode_lengths={low: 0, high: 500, bins: 20}",  # values are YAML
    num_samples=4,  # or by name, from Python
)
logger = jaxlog.Logger(config)
```

`load_config` and `Logger` take a path, a dict, a node of OmegaConf or Hydra (its interpolations are
resolved), or settings that are already loaded. The value of an override is read as YAML: `[a, b]`
is a list, and an empty value is `null`. An override replaces the whole value: to change a list,
write all of it.

Settings that contradict each other give a `jaxlog.ConfigWarning`. Keys of an older, asynchronous
logger ({deprecated}) have no effect, and a `DeprecationWarning` names them.

## `extends`

A file may extend another: it has the settings of that file, except those that it sets itself. Up to
32 files may each extend the next:

```yaml
extends: batched.yaml       # relative to this file; or a list, of which later ones win
log_frequency: 1
statistics: [mean, median]  # lists, also sinks, are replaced; mappings are merged key by key
```
"""


def reference() -> str:
    """The page of all settings, as Markdown.

    >>> "| `log_frequency` | an integer, 1 or more" in reference()
    True
    """
    deprecated = ", ".join(f"`{key}`" for key in DEPRECATED)
    schema = LoggingConfig.model_json_schema()
    parts = [_BEGIN.replace("{deprecated}", deprecated), "## Keys\n", *_table(schema)]
    parts += [
        "\n## Sinks\n",
        "`sinks` is a list. Each entry has its `kind`, and the keys of that kind.",
    ]
    parts.append("[Sinks](sinks.md) describes the files that they write.")
    for kind in BUILT_IN:
        parts += [f"\n### `kind: {kind}`\n", _of_sink(kind)]
        own = _keys_of(kind)
        del own["properties"]["kind"]
        parts += ["", *_table(own)] if own["properties"] else ["It has no other keys."]
    parts += [
        "\n## Alerts\n",
        "[Alerts](guides/alerts.md) shows how they are used. An entry of `alerts` has:\n",
    ]
    parts += _table(AlertSettings.model_json_schema())
    parts += ["\nAn entry of `alert_to` has:\n", *_table(AlertTarget.model_json_schema())]
    return "\n".join([*parts, ""])


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | takes | default | what it does |"
    yield "|---|---|---|---|"
    for key, wanted in schema["properties"].items():
        has_default = "default" in wanted
        default = f"`{json.dumps(wanted['default'], ensure_ascii=False)}`" if has_default else ""
        yield _row(f"`{key}`", _takes(wanted), default, wanted["description"])


def _takes(wanted: Mapping[str, Any]) -> str:
    """Describes the values that a JSON Schema allows."""
    if "anyOf" in wanted:
        kinds = [_takes(kind) for kind in wanted["anyOf"]]
        return (", or " if any("," in kind for kind in kinds[:-1]) else " or ").join(kinds)
    if "enum" in wanted:
        return f"one of {', '.join(map(str, wanted['enum']))}"
    if "pattern" in wanted:
        return wanted["description"]
    match wanted.get("type"):
        case "array":
            items, least = wanted["items"], wanted.get("minItems")
            of = f" of {least} or more" if least else ""
            return f"a list{of}" if "anyOf" in items else f"a list{of}, each {_takes(items)}"
        case "integer" | "number" as kind:
            limits = [words.format(wanted[key]) for key, words in _LIMITS.items() if key in wanted]
            return ", ".join([f"{'an' if kind == 'integer' else 'a'} {kind}", *limits])
        case "boolean":
            return "true or false"
        case "string":
            return "text"
        case "object" if wanted.get("additionalProperties"):
            return f"a mapping of names, each to {_takes(wanted['additionalProperties'])}"
        case "object":
            keys = wanted["required"]
            return f"a mapping with the key{'s' if len(keys) > 1 else ''} {', '.join(keys)}"
    return "null"


_LIMITS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} or less",
    "exclusiveMaximum": "less than {}",
}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
