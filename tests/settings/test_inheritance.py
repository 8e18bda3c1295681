from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog._settings import yaml_source
from tests.settings.bad_files import KEYS, STATISTICS


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> None:
    for name, text in files.items():
        path = Path(f"{name.replace('__', '/')}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


BASE = """\
batched_logging_enabled: true
log_frequency: 5
statistics: {default: [mean], loss: [max]}
histograms: {loss: {low: 0, high: 1, bins: 2}}
sinks: [{kind: jsonl}, {kind: console, live: false}]
"""


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", {}),
        ("log_frequency: 6", {"log_frequency": 6}),
        ("num_samples: 6", {"num_samples": 6}),
        (  # mappings are merged
            "statistics: {loss: [min], other: [p5]}",
            {"statistics": {"default": ("mean",), "loss": ("min",), "other": ("p5",)}},
        ),
        ("histograms: {loss: {bins: 1}}", {"histograms": {"loss": (0.0, 1.0)}}),
        # all else is replaced
        ("statistics: [std]", {"statistics": ("std",)}),
        ("histograms: {loss: [3, 4]}", {"histograms": {"loss": (3.0, 4.0)}}),
        ("sinks: [{kind: console}]", {"sinks": [{"kind": "console"}]}),
        ("sinks: []", {"sinks": []}),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_files_own_settings_go_before_those_it_extends(
    text: str, changed: dict[str, Any], nested: bool
) -> None:
    write(base=BASE, dir__child=f"extends: ../base.yaml\n{text}")
    if nested:
        write(between="extends: dir/child.yaml", dir__child2="extends: ../between.yaml")
    child = jaxlog.load_config("dir/child2.yaml" if nested else "dir/child.yaml")
    assert child == jaxlog.load_config(jaxlog.load_config("base.yaml"), **changed)


def test_of_several_files_the_later_wins() -> None:
    write(
        base=BASE,
        fast="log_frequency: 100\nnum_samples: 1",
        child="extends: [base.yaml, fast.yaml]\nnum_samples: 2",
    )
    config = jaxlog.load_config("child.yaml")
    assert (config.log_frequency, config.num_samples, len(config.sinks)) == (100, 2, 2)
    write(diamond="extends: [child.yaml, base.yaml, child.yaml]")
    assert jaxlog.load_config("diamond.yaml") == config
    write(none="extends: []", empty="", of_empty="extends: empty.yaml")
    assert jaxlog.load_config("none.yaml") == jaxlog.load_config("of_empty.yaml")


def test_a_dict_extends_what_the_working_directory_has() -> None:
    write(base=BASE)
    config = jaxlog.load_config({"extends": "base.yaml", "log_frequency": 7})
    assert config == jaxlog.load_config("base.yaml", log_frequency=7)
    assert (
        jaxlog.load_config({"extends": [Path("base.yaml").absolute()]}, log_frequency=7) == config
    )
    assert jaxlog.load_config("base.yaml", "log_frequency=7") == config


def errors_of(source: Any) -> str:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config(source)
    return str(caught.value)


def test_an_error_names_the_file_in_which_the_value_stands() -> None:
    write(
        base="log_frequency: 0\nstatistics:\n  default: [mean]\n  loss: [maen]\n",
        child="extends: base.yaml\nstatistics:\n  default: [maximum]\nstric: true\n",
    )
    assert errors_of("child.yaml").splitlines() == [
        "base.yaml:1:1: log_frequency: got 0: Input should be greater than or equal to 1",
        f"base.yaml:4:10: statistics.loss.0: got 'maen': Input should be one of {STATISTICS}; did "
        "you mean mean?",
        f"child.yaml:3:13: statistics.default.0: got 'maximum': Input should be one of "
        f"{STATISTICS}; did you mean max?",
        f"child.yaml:4:1: stric: unknown key; did you mean strict? (the keys are: {KEYS})",
    ]
    given = {"extends": "child.yaml", "statistics": {"default": ["p101"]}}
    assert "\nsettings: statistics.default.0: got 'p101': Input" in errors_of(given)


def test_what_a_file_makes_good_is_no_error() -> None:
    write(base="log_frequency: 0\nsinks: [{kind: josnl}]", child="extends: base.yaml\nsinks: []")
    assert errors_of("child.yaml").startswith("base.yaml:1:1: log_frequency: got 0")
    assert jaxlog.load_config("child.yaml", "log_frequency=3").sinks == ()


def test_a_file_is_read_once_however_often_it_is_extended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(f0=BASE)
    for number in range(17):  # read each time, these would be 131 072 files
        write(**{f"f{number + 1}": f"extends: [f{number}.yaml, ./f{number}.yaml]\n"})
    write(f17="extends: [f16.yaml, f3.yaml, f16.yaml]\nnum_samples: 9")
    read: list[str] = []
    before = yaml_source.read

    def counted(path: Path, **more: Any) -> str:
        read.append(path.name)
        return before(path, **more)

    monkeypatch.setattr(yaml_source, "read", counted)
    assert jaxlog.load_config("f17.yaml") == jaxlog.load_config("f0.yaml", num_samples=9)
    assert sorted(read[:-1]) == sorted(f"f{number}.yaml" for number in range(18))


@pytest.mark.parametrize("of_a_dict", [False, True])
def test_files_extend_each_other_to_a_depth(of_a_dict: bool) -> None:
    write(f0=BASE)
    for number in range(34):
        write(**{f"f{number + 1}": f"extends: f{number}.yaml\n"})

    def loaded(name: str) -> Any:
        return jaxlog.load_config({"extends": name} if of_a_dict else name)

    assert loaded("f31.yaml" if of_a_dict else "f32.yaml") == jaxlog.load_config("f0.yaml")
    said = (
        "extends: got more than 32 files that each extend the next, expected at most 32; put some "
        "of them into one"
    )
    # The one that goes too far: counted from the first.
    name, place = ("f32.yaml", "f1.yaml:1:1") if of_a_dict else ("f33.yaml", "f1.yaml:1:1")
    assert errors_of({"extends": name} if of_a_dict else name) == f"{place}: {said}"
    # What was read before counts as deep as it is.
    write(list=f"extends: [f20.yaml, {name}]")
    assert said in errors_of("list.yaml")


def test_what_is_extended_is_a_file_and_no_larger_than_settings_are() -> None:
    os.mkfifo("pipe.yaml")
    write(child="extends: pipe.yaml", large="extends: huge.yaml", huge="a: 1")
    os.truncate("huge.yaml", 2**24 + 1)
    assert errors_of("child.yaml") == (
        "child.yaml:1:1: extends: pipe.yaml: is a pipe or a device; give the path of a YAML file"
    )
    assert errors_of("large.yaml") == (
        "large.yaml:1:1: extends: huge.yaml: is too large: it has more than 16,777,216 bytes"
    )


def test_a_circle_is_refused_however_it_is_written() -> None:
    write(
        a="extends: [ok.yaml, dir/b.yaml]", dir__b="strict: true\nextends: ../dir/../a.yaml", ok=""
    )
    assert errors_of("a.yaml") == (
        "dir/b.yaml:2:1: extends: is a circle: a.yaml -> dir/b.yaml -> dir/../dir/../a.yaml"
    )
    assert "is a circle" in errors_of({"extends": "a.yaml"})
    Path("link.yaml").symlink_to("me.yaml")
    write(me="extends: link.yaml")
    assert errors_of("me.yaml").endswith("is a circle: me.yaml -> link.yaml")


@pytest.mark.parametrize(
    ("base", "text"),
    [
        (None, "child.yaml:1:1: extends: base.yml: there is no such file; in . there are: "),
        ("a: [", "base.yml:1:5: is not YAML: expected the node content, but found"),
        ("- 1", "base.yml:1:1: got [1], expected a mapping of settings"),
    ],
)
def test_a_file_to_extend_that_cannot_be_read(base: str | None, text: str) -> None:
    write(child="extends: base.yml", other="")
    if base is not None:
        Path("base.yml").write_text(base)
    assert errors_of("child.yaml").startswith(text)
    if base is None:
        assert errors_of("child.yaml").endswith("there are: other.yaml")
        assert errors_of({"extends": "no/base.yml"}) == (
            "settings: extends: no/base.yml: there is no such file (nor is there a directory no)"
        )
