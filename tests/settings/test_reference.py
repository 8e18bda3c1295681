"""What is made from the models: the schema for editors, and the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog._settings import yaml_source
from jaxlog._settings.alerts import AlertSettings, AlertTarget
from jaxlog._settings.deprecated import KEYS as DEPRECATED
from jaxlog._settings.reference import json_schema, reference
from jaxlog.sinks import BUILT_IN, sink_class
from tests.settings.bad_files import BAD_FILES

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("configs/schema.json", json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"),
        ("docs/settings.md", reference()),
    ],
)
def test_what_is_made_from_the_models_is_current(path: str, current: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text == current, f"{path} is not that of the models; run: make schema"


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    named = set(re.findall(r"#/definitions/(\w+)", json.dumps(SCHEMA)))
    assert named == set(SCHEMA["definitions"]) == set(BUILT_IN)


def test_every_key_has_a_description_and_a_default() -> None:
    properties = SCHEMA["properties"]
    assert set(properties) == {"extends", *jaxlog.LoggingConfig.model_fields, *DEPRECATED}
    for key, part in properties.items():
        assert part["description"]
        assert ("default" in part) == (key in jaxlog.LoggingConfig.model_fields)
        assert part.get("deprecated", False) == (key in DEPRECATED)
    for kind in BUILT_IN:
        keys = SCHEMA["definitions"][kind]["properties"]
        assert set(keys) == set(sink_class(kind).Settings.model_fields)
        for key, part in keys.items():
            assert key == "kind" or (part["description"] and "default" in part), (kind, key)


def test_every_key_is_on_the_page() -> None:
    page = reference()
    for key in jaxlog.LoggingConfig.model_fields:
        assert f"\n| `{key}` | " in page
    for kind in BUILT_IN:
        section = page.split(f"### `kind: {kind}`\n")[1]
        section = section.split("\n### ")[0].split("\n## ")[0]
        assert re.findall(r"\n\| `(\w+)` \|", section) == [
            key for key in sink_class(kind).Settings.model_fields if key != "kind"
        ]
    alerts, targets = page.split("\n## Alerts\n")[1].split("An entry of `alert_to` has:")
    for section, model in ((alerts, AlertSettings), (targets, AlertTarget)):
        assert re.findall(r"\n\| `(\w+)` \|", section) == list(model.model_fields)
    for line in page.splitlines():
        if line.startswith("|"):
            columns = 4 if page.index(line) > page.index("## Keys") else 2
            assert len(re.findall(r"(?<!\\)\|", line)) == columns + 1, line


NO_SCHEMA_SAYS = {
    "edges that fall",
    "edges that stand still",
    "an edge that is not a number",
    "bins that fall",
    "bins without bound",
    "an edge beyond float64",
    "an unknown sink",  # it may be another package's
    "a sink in capitals",
    "a sink that is nothing like any",
    "a renderer that is not there",
    "a renderer that draws nothing",
    "a float that is whole",  # an integer, to JSON Schema
    "an alert without its limit",
    "an alert of a stall without a time",
    "an alert with the key of another",
    "an address that may be a secret",
    "a command without words",
    "an address of a log",
    "it is not there",
    "it is misspelt",
    "itself",
    "itself among others",
    "a directory",
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_the_schema_refuses_what_loading_refuses(case: str) -> None:
    text, _ = BAD_FILES[case]
    try:
        data, _ = yaml_source.parse(text, "bad.yaml")
    except jaxlog.ConfigError:
        return  # no editor would come as far as the schema
    assert VALIDATOR.is_valid(data) == (case in NO_SCHEMA_SAYS)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"log_freq": 1}, "Additional properties are not allowed ('log_freq' was unexpected)"),
        (
            {"sinks": [{"kind": "console", "refresh": 1}]},
            "Additional properties are not allowed ('refresh' was unexpected)",
        ),
        ({"sinks": [{"kind": "svg", "size": 1}]}, "1 is less than the minimum of 32"),
        ({"sinks": [{}]}, "'kind' is a required property"),
    ],
)
def test_what_an_editor_says_names_what_is_wrong(data: Any, told: str) -> None:
    (error,) = VALIDATOR.iter_errors(data)
    assert error.message == told


def test_a_sink_of_another_package_may_have_any_keys() -> None:
    assert VALIDATOR.is_valid({"sinks": [{"kind": "csv", "delimiter": ";"}]})


def test_keys_of_the_older_design_are_let_be() -> None:
    assert VALIDATOR.is_valid(dict.fromkeys(DEPRECATED, 3))


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema lets be, most of the time."""
    if "anyOf" in schema:
        return st.one_of([of_schema(part) for part in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    match schema.get("type"):
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "integer":
            return st.integers(schema.get("minimum", 0) - 1, schema.get("maximum", 2**31 - 1) + 1)
        case "number":
            return st.floats(-2, 70) | st.integers(-2, 70)
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(of_schema(schema["items"]), min_size=max(0, least - 1), max_size=3)
        case "object" if "properties" in schema and "kind" not in schema["properties"]:
            return st.fixed_dictionaries({k: of_schema(p) for k, p in schema["properties"].items()})
        case "object" if schema.get("additionalProperties"):
            return st.dictionaries(st.text(), of_schema(schema["additionalProperties"]), max_size=3)
    return (
        st.text() if "pattern" not in schema else st.from_regex(schema["pattern"], fullmatch=True)
    )


def sinks() -> st.SearchStrategy[list[Any]]:
    def sink(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        keys = {
            key: of_schema(part)
            for key, part in SCHEMA["definitions"][kind]["properties"].items()
            if key not in ("kind", "renderer")  # whether one can be imported, no schema says
        }
        return st.fixed_dictionaries({"kind": st.just(kind)}, optional=keys)

    return st.lists(st.sampled_from(BUILT_IN).flatmap(sink), max_size=3)


OPTIONAL = {
    key: of_schema(part)
    for key, part in SCHEMA["properties"].items()
    if key not in ("sinks", "histograms", "extends", *DEPRECATED)
}
ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@pytest.mark.filterwarnings("ignore::jaxlog.ConfigWarning")
@given(
    st.fixed_dictionaries({}, optional={**OPTIONAL, "sinks": sinks()}),
    st.dictionaries(st.sampled_from([*OPTIONAL, "sinks", "log_freqency"]), ANYTHING, max_size=1),
)
def test_the_schema_and_loading_agree(settings: dict[str, Any], odd: dict[str, Any]) -> None:
    data = settings | odd
    try:
        jaxlog.load_config(data)
        refused = ""
    except jaxlog.ConfigError as error:
        refused = str(error)
    # Two sinks that are alike but for a default are alike; to JSON Schema they differ.
    if "is listed twice" not in refused:
        assert VALIDATOR.is_valid(data) == (not refused)
