"""The classifier of digits, in short: what it logs is what NumPy makes of the model."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import jaxlog
from tests.conftest import module_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "supervised.py"
EPOCHS, STEPS = 4, 64
nnx = pytest.importorskip("flax.nnx")


class Run(NamedTuple):
    model: Any
    directory: Path
    said: str


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    module = module_of(EXAMPLE)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax
        yield module


@pytest.fixture(scope="module")
def run(example: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("runs") / "supervised"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        model = example.main(directory, epochs=EPOCHS)
    return Run(model, directory, said.getvalue())


def measured(model: Any, digits: Any) -> dict[str, float]:
    """Loss and accuracy, in NumPy and float64."""
    images, labels = np.asarray(digits.images, np.float64), np.asarray(digits.labels)
    conv, output = (
        (np.asarray(layer.kernel[...], np.float64), np.asarray(layer.bias[...], np.float64))
        for layer in (model.conv, model.output)
    )
    windows = np.lib.stride_tricks.sliding_window_view(images, (5, 3), axis=(1, 2))
    found = np.einsum("nyxhw,hwf->nyxf", windows, conv[0][:, :, 0]) + conv[1]
    logits = np.maximum(found, 0).max(axis=(1, 2)) @ output[0] + output[1]
    of_label = np.take_along_axis(logits, labels[:, None], 1)[:, 0]
    loss = np.mean(np.log(np.exp(logits).sum(axis=1)) - of_label)
    return {"loss": loss, "accuracy": np.mean(logits.argmax(axis=1) == labels)}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def as_bytes(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_each_step_is_logged_once_and_each_evaluation(run: Run) -> None:
    steps = list(range(STEPS))
    for name, at, keys in (
        ("train", steps, ["loss", "accuracy"]),
        ("optimizer", steps, ["gradient_norm", "learning_rate"]),
        ("eval", [15, 31, 47, 63], ["loss", "accuracy"]),
    ):
        lines = read(run.directory / f"{name}_metrics.jsonl")
        assert [line["step"] for line in lines] == at
        assert {tuple(line["metrics"]) for line in lines} == {tuple(keys)}
    facts = json.loads((run.directory / "run.json").read_text())
    assert (facts["arrived"], facts["replayed"]) == (2 * STEPS + EPOCHS, 0)


def test_what_is_logged_is_what_numpy_computes(example: Any, run: Run) -> None:
    config = example.Config(epochs=EPOCHS)
    training, test = example.make_data(config)
    last = read(run.directory / "eval_metrics.jsonl")[-1]["metrics"]
    assert last == pytest.approx(measured(run.model, test), rel=1e-4)

    untrained = example.Classifier(config.features, nnx.Rngs(config.seed))
    key = jax.random.split(jax.random.key(config.seed), EPOCHS)[0]
    rows = jax.random.permutation(key, config.training_digits)[: config.batch_size]
    batch = jax.tree.map(lambda array: array[rows], training)
    first = read(run.directory / "train_metrics.jsonl")[0]["metrics"]
    assert first == pytest.approx(measured(untrained, batch), rel=1e-4)

    lines = read(run.directory / "optimizer_metrics.jsonl")
    cosine = (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2
    assert [line["metrics"]["learning_rate"] for line in lines] == pytest.approx(
        config.learning_rate * cosine, rel=1e-3
    )


def test_gradients_are_those_without_logging(
    example: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = example.Config(training_digits=16, test_digits=16)
    model = example.Classifier(config.features, nnx.Rngs(config.seed))
    batch, _ = example.make_data(config)
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path):
        logging = nnx.jit(nnx.grad(example.make_loss(logger)))(model, batch, 0)
    assert len(read(tmp_path / "train_metrics.jsonl")) == 1
    monkeypatch.setenv("JAXLOG", "off")
    silent = nnx.jit(nnx.grad(example.make_loss(logger)))(model, batch, 0)
    assert as_bytes(logging) == as_bytes(silent)


def test_it_learns_what_it_learns_without_logging(
    example: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAXLOG", "off")
    silent = example.main(tmp_path / "off", epochs=EPOCHS)
    assert not (tmp_path / "off").exists()
    assert as_bytes(nnx.state(silent, nnx.Param)) == as_bytes(nnx.state(run.model, nnx.Param))


def test_it_learns_to_read_and_says_how_well(run: Run) -> None:
    accuracies = [
        line["metrics"]["accuracy"] for line in read(run.directory / "eval_metrics.jsonl")
    ]
    assert accuracies[0] < 0.6 < 0.8 < accuracies[-1]
    assert f"Test accuracy: {accuracies[-1]:.1%}" in run.said
    assert f"jaxlog show {run.directory}" in run.said
