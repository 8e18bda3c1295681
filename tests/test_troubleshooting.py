"""The troubleshooting page has an entry for each message in the source, and no others.

Messages are found in the source: the texts of exceptions, warnings, log calls and prints to stderr.
An entry begins with the words of its messages, as far as needed to identify them, with `…` for the
parts that vary. These tests do not see the text that replaces a `…`, nor the messages of pydantic,
tyro, PyYAML and JAX.

The messages that the page shows in full are caused here, and compared.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, PartitionSpec

import jaxlog
from jaxlog._crossing import delivery
from jaxlog._crossing.delivery import barrier
from jaxlog._say import Once
from tests.conftest import MakeLogger

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
HOLE = "…"
LETTERS = 15
"""The fewest letters of an entry, unless it is the whole message."""

MESSAGE_ARGUMENTS = {
    "warn_caller",
    "_switch_off",
    "_say_once",
    "_warn",
    "_warn_once",
    "note",
    "say",
    "warn",
}
"""The functions that take a message, besides exceptions, `print` and Python's `logging`."""
MESSAGE_RESULTS = {
    "_format/run_file.py": {"newer_format"},
    "_watching/observed_run.py": {"status_text"},
    "_cli/show.py": {"_nothing"},
    "_analysis/score_notes.py": {"lane_notes", "group_notes"},
    "_reading/run_filter.py": {"no_such_names"},
    "_reading/call_lines.py": {"warnings"},
    "_host/losses.py": {"loss"},
    "_render/image.py": {"_takes"},
    "_format/media.py": {"outside_text"},
    "_host/media.py": {"_too_many"},
    "_settings/advice.py": {"advice", "_of_alerts", "_of_samples", "_of_names"},
    "_settings/deprecated.py": {"without_deprecated"},
    "_settings/problems.py": {"_sentence", "_expected", "_unknown_key"},
}
"""The functions that yield or return a message, by module."""
NOT_SHOWN = {
    "has no JSON",  # orjson replaces it by its own message
}


class Messages(ast.NodeVisitor):
    """Collects the messages of one module, with `…` for the parts that vary."""

    def __init__(self, returned_by: set[str]) -> None:
        self.found: dict[str, int] = {}
        self._returned_by = returned_by
        self._functions: list[ast.FunctionDef] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node)
        self.generic_visit(node)
        self._functions.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        of_an_error = name.endswith("Error") or name in ("KeyboardInterrupt", "type(error)")
        to_stderr = any(ast.unparse(word.value) == "sys.stderr" for word in node.keywords)
        logged = re.fullmatch(r"_log\.(warning|error|exception)", ast.unparse(node.func))
        if of_an_error or name in MESSAGE_ARGUMENTS or (name == "print" and to_stderr):
            pydantic = name == "PydanticCustomError"  # its first argument is a code
            for argument in node.args[1:2] if pydantic else node.args:
                self._add(argument, "[{][a-z]+[}]" if pydantic else None)
        elif logged:
            words = iter(node.args[1:])
            text = re.sub("%[a-z]", lambda _: self._argument(next(words)), self._text(node.args[0]))
            self.found[_words(text)] = node.lineno
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) == "self.failure":
            self._add(node.value)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        self._add_returned(node.value)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._add_returned(node.value)
        self.generic_visit(node)

    def _add_returned(self, value: ast.expr | None) -> None:
        if value is not None and self._functions and self._functions[-1].name in self._returned_by:
            self._add(value.elts[-1] if isinstance(value, ast.Tuple) else value)

    def _add(self, node: ast.expr, holes: str | None = None) -> None:
        text = self._text(node)
        text = re.sub(holes, HOLE, text) if holes else text
        self.found[_words(text)] = node.lineno

    def _argument(self, node: ast.expr) -> str:
        return self._text(node) if isinstance(node, ast.Call) else HOLE

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.JoinedStr(values=parts):
                return "".join(map(self._text, parts))
            case ast.FormattedValue(value=ast.Call() as call):
                return self._text(call)
            case ast.Call(func=ast.Name(id="counted"), args=[_, one, *many]):
                return f"{HOLE} " + (self._text(many[0]) if many else f"{self._text(one)}s")
            case ast.FormattedValue(value=ast.Name() as name) | (ast.Name() as name):
                values = [
                    other.value
                    for other in ast.walk(self._functions[-1] if self._functions else node)
                    if isinstance(other, ast.Assign) and ast.unparse(other.targets[0]) == name.id
                ]
                texts = ast.Constant | ast.JoinedStr | ast.Call
                is_text = len(values) == 1 and isinstance(values[0], texts)
                return self._text(values[0]) if is_text else HOLE
            case ast.BinOp(left=left, right=right):
                return self._text(left) + self._text(right)
            case _:
                return HOLE


def _words(text: str) -> str:
    """Removes everything before the first word of a message, such as a path."""
    text = re.sub(r"\s+", " ", re.sub(f"{HOLE}+", HOLE, text))
    return re.sub(rf"^(jaxlog: |\[{HOLE}\]|[{HOLE}: ])*", "", text).rstrip()


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def messages() -> dict[str, str]:
    """Returns each message of the package, and its module and line."""
    found = {}
    for path in sorted((ROOT / "jaxlog").rglob("*.py")):
        name = path.relative_to(ROOT / "jaxlog").as_posix()
        module = Messages(MESSAGE_RESULTS.get(name, set()))
        module.visit(ast.parse(path.read_text()))
        found |= {text: f"{name}:{line}" for text, line in module.found.items()}
    # One or two words are a part of another message.
    return {text: place for text, place in found.items() if _letters(text) >= 8}


def entries() -> list[str]:
    """Returns the words with which the entries of the page begin."""
    text = PAGE.partition("\n## Messages\n")[2]
    heads = re.findall(r"^- ((?:(?:``.+?``|`[^`]+`)(?:,\s+)?)+)", text, re.MULTILINE | re.DOTALL)
    spans = [re.findall(r"``\s?(.+?)\s?``|`([^`]+)`", head, re.DOTALL) for head in heads]
    return [_words(double or single) for head in spans for double, single in head]


MESSAGES = messages()
ENTRIES = entries()
SHOWN = [" ".join(s.split()) for s in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)]


def is_of(entry: str, message: str) -> bool:
    """True if an entry is about a message."""
    if entry.rstrip(f"{HOLE} .") == message.rstrip(f"{HOLE} ."):
        return True
    return message.startswith(entry.rstrip(HOLE)) and _letters(entry) >= LETTERS


def test_each_message_has_an_entry() -> None:
    missing = {
        f"{place}: {message}"
        for message, place in MESSAGES.items()
        if message not in NOT_SHOWN and not any(is_of(entry, message) for entry in ENTRIES)
    }
    assert not missing, "docs/troubleshooting.md has no entry for these"


def test_each_entry_is_of_a_message() -> None:
    stale = [e for e in ENTRIES if not any(is_of(e, message) for message in MESSAGES)]
    assert not stale, "of docs/troubleshooting.md, jaxlog has no such messages any more"


@pytest.mark.parametrize(
    "text",
    [
        "is under shard_map or pmap over …, where every device would write its own lines",
        "lanes: got …, expected a dict of labels for each lane",  # named before it is raised
        "the sink … is switched off for this run: …",  # logged
        "unknown key… (the keys are: …)",  # returned
        "is listed twice",  # in pydantic's form
        "the newest run is …",  # printed
    ],
)
def test_messages_are_found_wherever_they_are_made(text: str) -> None:
    assert any(message.startswith(text) for message in MESSAGES)


def write(path: str, text: str) -> str:
    Path(path).write_text(text)
    return path


def log(make: Callable[..., jaxlog.Logger], metrics: Any, step: Any = 0, **settings: Any) -> None:
    jaxlog.batch_step(make(**settings), step, metrics)


def over_devices(make: MakeLogger) -> None:
    logger = make()

    def program(returns: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"episode_returns": returns})
        return returns

    mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("devices")
    jax.shard_map(program, mesh=mesh, in_specs=spec, out_specs=spec)(jnp.ones(8))


def with_another_window(make: MakeLogger) -> None:
    logger = make()
    window = jaxlog.empty_window(logger, {"loss": 0.0})
    jaxlog.window_step(logger, window, 0, {"loss": 0.0, "entropy": 0.0})


def without_a_run(make: MakeLogger) -> None:
    log(make, {"loss": 1.0})
    barrier()


def with_a_logger_that_is_gone(make: MakeLogger) -> None:
    loggers = [make()]
    train = jax.jit(lambda: jaxlog.batch_step(loggers.pop(), 0, {"loss": 1.0}))
    train()
    barrier()


def without_writing(make: MakeLogger) -> None:
    logger = make(delivery="return")
    with logger.open():
        jaxlog.batch_step(logger, 0, {"loss": 1.0})


def with_a_sink_that_fails(make: MakeLogger) -> None:
    with make(sinks=[{"kind": "jsonl"}]).open("runs/first") as run:
        run.log({"loss": 1.0})
        run.flush()
        shutil.rmtree("runs/first")
        run.log({"loss": 0.9})


def opened_twice(make: MakeLogger) -> None:
    logger = make()
    with logger.open(name="first"):
        logger.open(name="second")


def in_a_directory_that_is_taken(make: MakeLogger) -> None:
    for _ in range(2):
        with make(sinks=[{"kind": "jsonl"}]).open("runs/first") as run:
            run.log({"loss": 1.0})


CAUSES: list[Callable[[MakeLogger], Any]] = [
    without_a_run,
    with_a_logger_that_is_gone,
    without_writing,
    in_a_directory_that_is_taken,
    lambda make: make().open(config={"optimizer": {"seed": 2**70}}),
    opened_twice,
    with_a_sink_that_fails,
    lambda make: make(sinks=[{"kind": "jsonl"}]).open(),
    lambda _: jaxlog.load_config(write("my.yaml", "log_frequency: 10\nlog_freqency: 5")),
    lambda _: jaxlog.load_config(write("my.yaml", "sampling_enabled: yes")),
    lambda make: log(make, {"episode_returns": jnp.ones((128, 32)), "loss": jnp.ones((4, 8))}),
    lambda make: log(make, {"loss": jnp.ones((4, 8))}),
    lambda make: log(make, {"policy_loss": jnp.ones((4, 8))}),
    lambda make: log(make, {"loss": 1.0}, step=0.5),
    lambda make: log(make, {"loss": 1.0}, include=["losss"]),
    lambda make: jaxlog.log(make(), jnp.int32(0), arrays={"q": jnp.ones((512, 513))}),
    over_devices,
    with_another_window,
    lambda _: jaxlog.from_info({"discount": jnp.ones(8)}),
]


@pytest.mark.parametrize("cause", CAUSES)
def test_what_the_page_shows_whole_is_what_is_shown(
    cause: Callable[[MakeLogger], Any],
    make_logger: MakeLogger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(delivery, "_unclaimed", Once())
    try:
        cause(make_logger)
    except Exception as error:
        message = str(error.args[0])
    else:
        message = "\n".join(record.getMessage() for record in caplog.records)
    message = re.sub(r"<function <lambda> at \w+>", HOLE, message.replace(str(tmp_path), HOLE))
    assert " ".join(message.split()) in SHOWN


def test_nothing_else_is_shown_whole() -> None:
    assert len(SHOWN) == len(set(SHOWN)) == len(CAUSES)


def test_a_logger_for_each_run_compiles_anew_and_one_for_all_does_not(
    make_logger: MakeLogger,
) -> None:
    traced = []

    @partial(jax.jit, static_argnames="logger")
    def train(loss: jax.Array, logger: jaxlog.Logger) -> jax.Array:
        traced.append(logger)
        jaxlog.batch_step(logger, 0, {"loss": loss})
        return loss

    for loggers, compiled in (([make_logger()] * 3, 1), ([make_logger() for _ in range(3)], 3)):
        traced.clear()
        for logger in loggers:
            with logger.open() as run:
                train(jnp.float32(1.0), logger=logger)
            assert run.arrived == 1
        assert len(traced) == compiled
