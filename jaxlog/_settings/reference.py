"""The settings told from their models: a JSON Schema for editors, and a page for readers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jaxlog._settings.deprecated import KEYS as DEPRECATED
from jaxlog._settings.models import LoggingConfig
from jaxlog._settings.wording import takes
from jaxlog.sinks import BUILT_IN, sink_class


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a file of settings, for editors and other tools.

    It knows the sinks that jaxlog brings, and lets those of other packages have any keys, so that
    it is the same whatever is installed. It is of draft 7, which editors know best. What it refuses
    `load_config` refuses; not all the other way round: that a renderer can be imported, say, no
    schema can tell.

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
                    "description": "The file whose settings are beneath these, or several of which "
                    "later ones win; relative to this file.",
                    "anyOf": [extends, {"type": "array", "items": extends}],
                },
                **keys,
                **{
                    key: {
                        "description": "Of an older, asynchronous logger. Nothing reads it.",
                        "deprecated": True,
                        "deprecationMessage": "Nothing reads this key any more: leave it out.",
                    }
                    for key in DEPRECATED
                },
            },
            "additionalProperties": False,
            "definitions": {kind: _keys_of(kind) for kind in BUILT_IN},
        }
    )


def _a_sink() -> dict[str, Any]:
    """Any sink: of a kind of jaxlog's with the keys of that, or of another package's."""
    known = [{"const": kind, "description": _of_sink(kind)} for kind in BUILT_IN]
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "description": "Where records go.",
                "anyOf": [*known, {"type": "string", "not": {"enum": list(BUILT_IN)}}],
            }
        },
        # Rather than one of several: a validator then names the key that is wrong.
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
    """What a sink does, in its settings' own words."""
    return " ".join(_keys_of(kind).get("description", "").split())


def _without_titles(schema: Any) -> Any:
    """Without the titles that pydantic makes of names: editors would show each name twice."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(part)
            for key, part in schema.items()
            if not (key == "title" and isinstance(part, str))
        }
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema


_BEGIN = """\
# Settings

*Made by `make schema` from the models in `jaxlog/settings` and `jaxlog/sinks`; mend those.*

One file of YAML has all that jaxlog lets be chosen, and `jaxlog.load_config` reads it. A key that
is left out has its default. A key that is not known, or a value of another type, is an error that
says where it stands and what it takes. In `configs/` are files to begin with:

| file | for |
|---|---|
| [basic.yaml](../configs/basic.yaml) | one environment, stepped from Python |
| [batched.yaml](../configs/batched.yaml) | batches in a compiled program; it has every key |
| [full.yaml](../configs/full.yaml) | every sink |
| [wandb.yaml](../configs/wandb.yaml) | Weights & Biases |
| [sweep.yaml](../configs/sweep.yaml) | seeds and learning rates under `vmap`, a W&B run each |
| [debug.yaml](../configs/debug.yaml) | everything, at each update; what goes wrong is raised |

`jaxlog check FILE` tells all problems of a file without running anything. An editor that knows JSON
Schema (VS Code with its YAML extension, say) completes and checks a file that begins with the line
below. In it stands the path, from that file, of
[configs/schema.json](../configs/schema.json), or of what `jaxlog schema > schema.json` writes:

```yaml
# yaml-language-server: $schema=schema.json
```

YAML is read without its traps: `1e-3` is a number, `on` and `no` are text, and a key that stands
twice is an error.

## Loading

```python
import jaxlog

config = jaxlog.load_config(
    "configs/full.yaml",
    "log_frequency=5",  # texts, as on a command line: *sys.argv[1:] will do
    "sinks.wandb.project=maze",  # the sink of this kind; sinks.2 is one by its index
    "statistics.eval/episode_returns=[mean, p95]",  # a metric's name may have dots and slashes
    "histograms.episode_lengths={low: 0, high: 500, bins: 20}",  # what YAML can say
    num_samples=4,  # or by name, from Python
)
logger = jaxlog.Logger(config)
```

`load_config` takes a path, a dict, a node of OmegaConf or Hydra (its interpolations are resolved),
or settings that are loaded already; so does `Logger`. The value of an override is read as YAML:
`[a, b]` is a list, and nothing at all is `null`. A value is replaced as a whole: to change a list,
give all of it.

Settings that make no sense together give a `jaxlog.ConfigWarning`. Keys of an older, asynchronous
logger ({deprecated}) do nothing, and a `DeprecationWarning` names them.

## `extends`

A file may begin with another's settings. Its own go before them. Up to 32 may each extend the
next:

```yaml
extends: batched.yaml       # relative to this file; or a list, of which later ones win
log_frequency: 1
statistics: [mean, median]  # lists are replaced, sinks too; mappings are merged key by key
```
"""


def reference() -> str:
    """All settings with what they take, as a page of Markdown.

    >>> "| `log_frequency` | an integer, 1 or more" in reference()
    True
    """
    deprecated = ", ".join(f"`{key}`" for key in DEPRECATED)
    schema = LoggingConfig.model_json_schema()
    parts = [_BEGIN.replace("{deprecated}", deprecated), "## Keys\n", *_table(schema)]
    parts += ["\n## Sinks\n", "`sinks` is a list; each entry has its `kind`, and the keys of that."]
    parts.append("What they write: [sinks](sinks.md).")
    for kind in BUILT_IN:
        parts += [f"\n### `kind: {kind}`\n", _of_sink(kind)]
        own = _keys_of(kind)
        del own["properties"]["kind"]
        parts += ["", *_table(own)] if own["properties"] else ["It has no other keys."]
    return "\n".join([*parts, ""])


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | takes | default | what it does |"
    yield "|---|---|---|---|"
    for key, wanted in schema["properties"].items():
        default = f"`{json.dumps(wanted['default'], ensure_ascii=False)}`"
        yield _row(f"`{key}`", takes(wanted, briefly=True), default, wanted["description"])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
