"""What `open` takes and refuses; whatever it refuses, no file is changed."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import errno
import functools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, NamedTuple

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import jaxlog
from jaxlog._format.nonfinite import with_nonfinite, without_nonfinite
from jaxlog._host.plain import MAX_VALUES, plain_dict
from jaxlog.sinks.sink import Sink
from tests.conftest import MakeLogger


class Model(pydantic.BaseModel):
    """A part of a config."""

    width: int = 3
    sizes: tuple[int, ...] = (1, 2)


@dataclasses.dataclass
class Data:
    """Another."""

    lr: float
    inner: Any = None
    unset: Any = dataclasses.field(init=False, repr=False)


class Pair(NamedTuple):
    """And another."""

    first: int
    second: float


class Kind(enum.Enum):
    """A choice."""

    SMALL = "small"
    ODD = object()


class ConfigDict:
    """What `ml_collections.ConfigDict` offers: it is no `Mapping`."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def keys(self) -> list[str]:
        return list(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]


class Odd:
    """An object without a text of its own."""


CONFIGS: list[tuple[Any, dict[str, Any]]] = [
    ({"a": jnp.float32(0.1), "b": jnp.int32(3)}, {"a": 0.1, "b": 3}),
    (
        {"a": np.float32(0.1), "b": np.float64(0.1), "c": np.float16(0.1)},
        {"a": 0.1, "b": 0.1, "c": 0.1},
    ),
    ({"a": jnp.bfloat16(0.1), "b": ml_dtypes.bfloat16(2)}, {"a": 0.100098, "b": 2.0}),
    ({"a": np.uint64(2**64 - 1), "b": np.int8(-1)}, {"a": 2**64 - 1, "b": -1}),
    (
        {"a": np.True_, "b": jnp.bool_(False), "c": np.array(True)},
        {"a": True, "b": False, "c": True},
    ),
    ({"a": jnp.arange(2), "b": np.eye(2)}, {"a": [0, 1], "b": [[1.0, 0.0], [0.0, 1.0]]}),
    ({"a": np.array([0.1, 0.2], np.float32), "b": np.array(["x"])}, {"a": [0.1, 0.2], "b": ["x"]}),
    ({"a": np.str_("x"), "b": np.array("x"), "c": np.array(0.5)}, {"a": "x", "b": "x", "c": 0.5}),
    ({"a": np.zeros((200, 200), np.float32)}, {"a": "float32[200,200]"}),
    (flax.core.FrozenDict({"a": {"b": 1}}), {"a": {"b": 1}}),
    ({"a": flax.core.FrozenDict({"b": 1})}, {"a": {"b": 1}}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    ({"a": collections.OrderedDict(b=collections.defaultdict(int, c=1))}, {"a": {"b": {"c": 1}}}),
    (
        OmegaConf.create({"a": 0.1, "b": "${a}", "c": [1, {"d": 2}]}),
        {"a": 0.1, "b": 0.1, "c": [1, {"d": 2}]},
    ),
    (
        {"x": OmegaConf.create({"a": [1]}), "y": OmegaConf.create([1, 2])},
        {"x": {"a": [1]}, "y": [1, 2]},
    ),
    (Data(0.5, Data(1.0)), {"lr": 0.5, "inner": {"lr": 1.0, "inner": None}}),
    (argparse.Namespace(a=1, b=argparse.Namespace(c=2)), {"a": 1, "b": {"c": 2}}),
    (types.SimpleNamespace(a=1), {"a": 1}),
    (Model(), {"width": 3, "sizes": [1, 2]}),
    (
        {"a": [Model(), Pair(1, 2.0)]},
        {"a": [{"width": 3, "sizes": [1, 2]}, {"first": 1, "second": 2.0}]},
    ),
    (ConfigDict(a=1, b=ConfigDict(c=jnp.float32(2))), {"a": 1, "b": {"c": 2.0}}),
    (
        {"a": {3, 1, 2}, "b": range(3), "c": collections.deque([1])},
        {"a": [1, 2, 3], "b": [0, 1, 2], "c": [1]},
    ),
    ({"a": range(10**9)}, {"a": "range(0, 1000000000)"}),
    ({"a": Kind.SMALL, "b": Kind.ODD, Kind.SMALL: 1}, {"a": "small", "b": "ODD", "small": 1}),
    (
        {1: "a", 0.5: "b", False: "c", None: "d", np.int64(7): "e"},
        {"1": "a", "0.5": "b", "false": "c", "null": "d", "7": "e"},
    ),
    ({"a": pathlib.PurePosixPath("x/y"), "b": b"x"}, {"a": "x/y", "b": "b'x'"}),
    (
        {"a": jnp.tanh, "b": nn.Dense, "c": len},
        {"a": "jax.numpy.tanh", "b": "flax.linen.linear.Dense", "c": "builtins.len"},
    ),
    ({"a": functools.partial(dict, x=1)}, {"a": "functools.partial(builtins.dict, x=1)"}),
    ({"a": jax.random.key(0), "b": np.dtype("float32")}, {"a": "key<fry>[]", "b": "float32"}),
    ({"a": Odd()}, {"a": f"<{__name__}.Odd object>"}),
    ({"a": {}, "b": [], "c": "", "d": None}, {"a": {}, "b": [], "c": "", "d": None}),
]


@pytest.mark.parametrize(("config", "expected"), CONFIGS)
def test_a_config_of_any_kind_is_kept_as_plain_values(
    config: Any, expected: dict[str, Any], make_logger: MakeLogger, tmp_path: Path
) -> None:
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "run", config=config) as run:
        run.log({"loss": 1.0}, step=0)
    found = jaxlog.read_run(tmp_path / "run").info["config"]
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)  # 1 is not 1.0, nor True


def test_functions_are_named_alike_in_each_process() -> None:
    named = plain_dict("config", {"a": nn.relu, "b": lambda: None, "c": nn.relu})
    assert named["a"] == named["c"]
    assert named["a"].endswith(".relu")
    assert named["b"].endswith("<lambda>")
    assert "0x" not in str(plain_dict("config", {"f": [Odd(), nn.relu, functools.partial(Odd)]}))


def test_numbers_that_are_not_finite_come_back(make_logger: MakeLogger, tmp_path: Path) -> None:
    config = {
        "clip": math.inf,
        "net/work": {"a~b": [1.0, -math.inf]},
        "x": np.float32("nan"),
        "n": None,
    }
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run", config=config, lanes=[{"clip": np.inf}]) as run:
        run.log({"loss": 1.0}, step=0)
    text = (tmp_path / "run" / "run.json").read_text()

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    facts = json.loads(text, parse_constant=no_constant)  # strict JSON
    assert facts["nonfinite"] == {
        "/config/clip": "inf",
        "/config/net~1work/a~0b/1": "-inf",
        "/config/x": "nan",
        "/lanes/0/clip": "inf",
    }
    for _ in range(2):
        info = jaxlog.read_run(tmp_path / "run").info
        assert info["config"]["clip"] == math.inf
        assert info["config"]["net/work"] == {"a~b": [1.0, -math.inf]}
        assert math.isnan(info["config"]["x"])
        assert info["config"]["n"] is None
        assert info["lanes"] == [{"clip": math.inf}]
        with logger.open(tmp_path / "run", if_exists="resume") as run:  # and are kept
            assert run.info.config["clip"] == math.inf
            assert run.info.lanes[0]["clip"] == math.inf


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), PLAIN, max_size=4))
def test_what_was_taken_out_of_json_is_put_back(values: dict[str, Any]) -> None:
    finite, nonfinite = without_nonfinite(plain_dict("config", values))
    text = json.dumps(finite, allow_nan=False)
    back = with_nonfinite(json.loads(text), json.loads(json.dumps(nonfinite)))
    assert repr(back) == repr(values)  # NaN is not equal to itself


@pytest.mark.parametrize(
    "nonfinite",
    [
        None,
        [],
        {"": "inf"},
        {"a": "inf"},
        {"/a": 1},
        {"/a/b/c": "inf"},
        {"/a": "inf"},
        {"/l/0": "inf"},
        {"/l/1": "inf"},
        {"/l/7": "inf"},
        {"/l/1/c": "inf"},
        {"/l/-1/c": "inf"},
        {"/x": "inf"},
    ],
)
def test_a_changed_file_puts_nothing_odd_back(nonfinite: Any) -> None:
    values = {"a": 1.0, "l": [1], "b": None}
    assert with_nonfinite(json.loads(json.dumps(values)), nonfinite) == values


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.arange(2), [0, 1]),
        (np.linspace(0, 1, 2, dtype=np.float32) / 10, [0.0, 0.1]),
        (np.logspace(-4, -3, 2), [1e-4, 1e-3]),
        (jnp.arange(2), [0, 1]),
        (jnp.float32([0.1, 0.2]), [0.1, 0.2]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        ((Kind.SMALL, "b"), ["small", "b"]),
    ],
)
def test_labels_of_lanes_are_numbers_and_texts(
    labels: Any, expected: list[Any], make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run", lanes=[{"x": value} for value in labels]) as run:
        run.log({"loss": jnp.ones(2)}, step=0)
    lines = (tmp_path / "run" / "eval_metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["labels"]["x"] for line in lines] == expected
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert json.dumps(facts["lanes"]) == json.dumps([{"x": value} for value in expected])


def test_tags_may_be_those_of_numpy(make_logger: MakeLogger) -> None:
    kinds: tuple[Any, ...] = (np.array(["a", "b"]), [np.str_("a"), "b"])
    for tags in kinds:
        with make_logger().open(tags=tags, name=np.str_("n")) as run:
            assert run.info.tags == ("a", "b")
            assert {type(tag) for tag in run.info.tags} == {str}


def itself() -> dict[str, Any]:
    found: dict[str, Any] = {"a": []}
    found["a"].append(found)
    return found


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: {"a": inner}, range(depth), 1)


def doubling() -> dict[str, Any]:
    return {"a": functools.reduce(lambda inner, _: [inner, inner], range(31), 1)}


class Unreadable(ConfigDict):
    """Computes its values, and cannot."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no such value")


def gone() -> Any:
    array = jnp.arange(3)
    array.delete()
    return array


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"config": {"a": {"b": "\ud800"}}},
        r"config['a']['b']: got '\ud800', which is not valid Unicode",
    ),
    ({"config": {"a\ud800": 1}}, r"config: got 'a\ud800', which is not valid Unicode"),
    (
        {"config": {"a": [1, 2**64]}},
        "config['a'][1]: got the integer 18446744073709551616, expected -2**63",
    ),
    ({"config": {"a": -(2**63) - 1}}, "config['a']: got the integer -9223372036854775809"),
    ({"config": {"a": 10**5000}}, "config['a']: got the integer one of 16610 bits, expected"),
    (
        {"config": {"a": {(1, 2): 3}}},
        "config['a']: got the key (1, 2), expected a text or a number",
    ),
    ({"config": {"a": {1: 3, "1": 4}}}, "config['a']: two keys become '1'; rename one"),
    ({"config": itself()}, "config['a'][0]: got a container that holds itself"),
    ({"config": nested(40)}, "got containers nested more than 32 deep; give fewer levels"),
    (
        {"config": doubling()},
        f"config: got more than {MAX_VALUES} values, expected hyper-parameters",
    ),
    ({"config": {"a": list(range(MAX_VALUES))}}, f"config: got more than {MAX_VALUES} values"),
    ({"config": OmegaConf.create({"a": "???"})}, "config: cannot be read: MissingMandatoryValue: "),
    (
        {"config": {"a": Unreadable(b=1)}},
        "config['a']: cannot be read: RuntimeError: no such value; give",
    ),
    ({"config": {"a": gone()}}, "config['a']: got int32[3], which has no values: "),
    ({"config": [1]}, "config: got list, expected hyper-parameters by name"),
    ({"config": "text"}, "config: got str, expected hyper-parameters by name"),
    ({"config": Data}, "config: got type, expected hyper-parameters by name"),
    ({"lanes": [{"a": 2**70}]}, "lanes[0]['a']: got the integer"),
    ({"lanes": [{"a": "\udc80"}]}, "lanes[0]['a']: got '\\udc80', which is not"),
    ({"lanes": [{"\udc80": 1}]}, "lanes[0]: got the key '\\udc80', which is not"),
    ({"lanes": [{"a": None}]}, "lanes[0]['a']: got NoneType None, expected a number or a text"),
    ({"lanes": [{"a": jnp.arange(2)}]}, "lanes[0]['a']: got int32[2], expected a number or a text"),
    ({"name": "a\ud800"}, "name: got 'a\\ud800', which is not"),
    ({"tags": ("ok", "a\ud800")}, "tags[1]: got 'a\\ud800', which is not"),
    ({"tags": "one"}, "tags: got the text 'one', expected several"),
    ({"tags": (1,)}, "tags: got (1,), expected a tuple of texts"),
]


def tree(root: Path) -> dict[str, bytes | None]:
    """All files below, with what is in them, and all directories."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize("if_exists", ["error", "replace", "resume"])
@pytest.mark.parametrize(("how", "text"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_is_named_and_changes_no_file(
    how: dict[str, Any], text: str, if_exists: Any, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run", config={"a": math.inf}) as run:
        run.log({"loss": 1.0}, step=0)
        run.state()
    before = tree(tmp_path)
    for directory in ("run", "new/run"):
        with pytest.raises((TypeError, ValueError)) as raised:
            logger.open(tmp_path / directory, if_exists=if_exists, **how)
        assert text in str(raised.value)
        assert tree(tmp_path) == before
    with logger.open(tmp_path / "run", if_exists="resume") as run:
        assert run.info.config == {"a": math.inf}


class Fussy(Sink):
    """Refuses to be opened, as a sink does whose package is not installed."""

    needs_directory = True

    def check(self, run: Any) -> None:
        raise RuntimeError("not installed")


UNHOLDABLE = st.sampled_from([how for how, _ in REFUSED])


@given(
    how=UNHOLDABLE | st.just({}),
    if_exists=st.sampled_from(["error", "replace", "resume"]),
    found=st.sampled_from(["run", "no run.json", "damaged", "nothing", "missing", "a file"]),
    fussy=st.booleans(),
)
def test_whatever_open_refuses_the_directory_is_byte_for_byte_the_same(
    how: dict[str, Any], if_exists: Any, found: str, fussy: bool
) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}, {"kind": "svg"}]})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        directory = Path(folder) / "above" / "run"
        if found in ("run", "no run.json", "damaged"):
            with logger.open(directory) as run:
                run.log({"loss": 1.0}, step=0)
                run.state()
            if found == "no run.json":
                (directory / "run.json").unlink()
            elif found == "damaged":
                (directory / "run.json").write_text('{"id": ')
        elif found == "nothing":
            directory.mkdir(parents=True)
        elif found == "a file":
            directory.parent.mkdir()
            directory.write_text("mine")
        if fussy:
            patched.setattr("jaxlog.sinks.svg.SvgSink.check", Fussy.check)
        before = tree(Path(folder))
        try:
            run = logger.open(directory, if_exists=if_exists, **how)
        except (TypeError, ValueError, OSError, RuntimeError):
            assert tree(Path(folder)) == before
        else:
            run.close()
            assert not fussy
            assert not how


@pytest.mark.parametrize("if_exists", ["replace", "resume"])
@pytest.mark.parametrize("at", ["write run.json", "marks"])
def test_a_run_that_cannot_begin_leaves_the_old_one(
    if_exists: Any,
    at: str,
    make_logger: MakeLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run", config={"a": 1}) as run:
        run.log({"loss": 1.0}, step=0)
        state = run.state()
    before = tree(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if at == "marks":
        monkeypatch.setattr("jaxlog._host.directory.Directory.add_mark", full)
        monkeypatch.setattr("pathlib.Path.unlink", full)
    else:
        monkeypatch.setattr("pathlib.Path.replace", full)
    how: dict[str, Any] = {"state": state} if if_exists == "resume" else {}
    with pytest.raises(OSError, match="No space left"):
        logger.open(tmp_path / "run", if_exists=if_exists, config={"a": 2}, **how)
    monkeypatch.undo()
    found = {name: data for name, data in tree(tmp_path).items() if not name.endswith(".draft")}
    assert found == before


@pytest.mark.parametrize(
    "address",
    [
        "hdfs://x/y",
        "nosuch://c@a/x",
        Path("nosuch://bucket/run"),
        b"https://x/y",
        "simplecache::s3://x/y",
        "dbfs:/runs",
    ],
)
def test_an_address_that_cannot_be_used_is_no_directory(
    address: Any, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    protocol = os.fsdecode(address).partition(":")[0]
    with pytest.raises((ValueError, OSError), match=protocol):
        make_logger().open(address)
    assert list(tmp_path.iterdir()) == []


def test_home_is_expanded(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with make_logger().open("~/runs/b") as run:
        assert run.directory == tmp_path / "home" / "runs" / "b"
    assert not (tmp_path / "~").exists()
    with make_logger().open("runs:1/a~b") as run:  # names that only look alike
        assert run.directory == tmp_path / "runs:1" / "a~b"
    with pytest.raises(
        ValueError, match=r"directory: got '~nobody-of-this-name/x', and there is no"
    ):
        make_logger().open("~nobody-of-this-name/x")


def test_the_next_directory_is_used(make_logger: MakeLogger, tmp_path: Path) -> None:
    def open_next(**how: Any) -> Path:
        with make_logger(sinks=[{"kind": "jsonl"}]).open(path, if_exists="next", **how) as run:
            run.log({"loss": 1.0}, step=0)
            names.append(run.info.name)
            assert run.directory is not None
            return run.directory

    path, names = tmp_path / "new" / "x", list[str]()
    assert [open_next().name for _ in range(3)] == ["x", "x-2", "x-3"]
    assert names == ["x", "x-2", "x-3"]
    assert [json.loads((path.parent / n / "run.json").read_text())["name"] for n in names] == names
    (tmp_path / "new" / "x-7").write_text("")  # a file of somebody
    shutil.rmtree(tmp_path / "new" / "x-2")
    assert open_next(name="mine").name == "x-8"
    assert names[-1] == "mine"
    (tmp_path / "other").mkdir()
    path = tmp_path / "other"
    assert open_next() == path  # it was empty
    path = tmp_path / "theirs"
    path.mkdir()
    (path / "notes.txt").touch()
    assert open_next() == tmp_path / "theirs-2"
    path = tmp_path / "theirs" / "notes.txt" / "x"
    with pytest.raises(NotADirectoryError, match="cannot be made"):
        open_next()


def test_of_several_processes_each_has_its_next_directory(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jaxlog._host.directory import Directory;"
        "sys.stdin.readline(); found = Directory(Path(sys.argv[1]), 'next');"
        "print(found.path.name, flush=True); (found.path / 'mine').touch(); sys.stdin.readline()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "runs" / "x")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    names = [p.stdout.readline().strip() for p in processes if p.stdout is not None]
    for process in processes:
        process.communicate("end\n", timeout=60)
    assert len(set(names)) == 6
    assert "x" in names
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(names)
    assert all((tmp_path / "runs" / name / "mine").exists() for name in names)
