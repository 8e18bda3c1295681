"""The classifier of digits, in short: what it logs is what NumPy makes of the model."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import jaxlog

EXAMPLE = Path(__file__).parents[2] / "examples" / "supervised.py"
nnx = pytest.importorskip("flax.nnx")


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("supervised", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["supervised"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax
        yield module


@pytest.fixture(scope="module")
def settings(example: Any) -> Any:
    return example.Settings(
        epochs=3, batch_size=16, features=8, training_digits=128, test_digits=64
    )


def new_model(example: Any, settings: Any) -> Any:
    return example.Classifier(settings.features, nnx.Rngs(settings.seed))


def trained(example: Any, settings: Any, directory: Path) -> Any:
    """A model that was trained, and logged to the directory."""
    logger = jaxlog.Logger(example.CONFIG | {"sinks": [{"kind": "jsonl"}]})
    training, test = example.make_data(settings)
    model = new_model(example, settings)
    train = example.make_train(settings, logger)
    with logger.open(directory):
        train(model, training, test)
    return model


def parameters(model: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))]


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


@pytest.fixture(scope="module")
def run(example: Any, settings: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    directory = tmp_path_factory.mktemp("runs") / "supervised"
    return trained(example, settings, directory), directory


def test_each_step_is_logged_once_and_each_evaluation(settings: Any, run: tuple[Any, Path]) -> None:
    _, directory = run
    steps = list(range(settings.num_steps))
    assert len(steps) == 24
    for name, at, keys in (
        ("train", steps, ["loss", "accuracy"]),
        ("optimizer", steps, ["gradient_norm", "learning_rate"]),
        ("eval", [7, 15, 23], ["loss", "accuracy"]),
    ):
        lines = read(directory / f"{name}_metrics.jsonl")
        assert [line["step"] for line in lines] == at
        assert {tuple(line["metrics"]) for line in lines} == {tuple(keys)}
    assert json.loads((directory / "run.json").read_text())["replayed"] == 0


def test_what_is_logged_is_what_numpy_computes(
    example: Any, settings: Any, run: tuple[Any, Path]
) -> None:
    model, directory = run
    training, test = example.make_data(settings)
    last = read(directory / "eval_metrics.jsonl")[-1]["metrics"]
    assert last == pytest.approx(measured(model, test), rel=1e-4)
    untrained = new_model(example, settings)
    first_rows = jax.random.permutation(
        jax.random.split(jax.random.key(settings.seed), settings.epochs)[0],
        settings.training_digits,
    )[: settings.batch_size]
    batch = jax.tree.map(lambda array: array[first_rows], training)
    first = read(directory / "train_metrics.jsonl")[0]["metrics"]
    assert first == pytest.approx(measured(untrained, batch), rel=1e-4)
    rates = [
        line["metrics"]["learning_rate"] for line in read(directory / "optimizer_metrics.jsonl")
    ]
    steps = np.arange(settings.num_steps) / settings.num_steps
    expected = settings.learning_rate * (1 + np.cos(np.pi * steps)) / 2
    assert rates == pytest.approx(expected, rel=1e-3)


def test_gradients_are_those_without_logging(
    example: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training, _ = example.make_data(settings)
    model = new_model(example, settings)
    batch = jax.tree.map(lambda array: array[:16], training)
    logger = jaxlog.Logger(example.CONFIG | {"sinks": [{"kind": "jsonl"}]})
    with logger.open(tmp_path):
        logging = nnx.jit(nnx.grad(example.make_loss(logger)))(model, batch, 0)
    assert len(read(tmp_path / "train_metrics.jsonl")) == 1
    monkeypatch.setenv("JAXLOG", "off")
    silent = nnx.jit(nnx.grad(example.make_loss(logger)))(model, batch, 0)
    assert [leaf.tobytes() for leaf in map(np.asarray, jax.tree.leaves(logging))] == [
        leaf.tobytes() for leaf in map(np.asarray, jax.tree.leaves(silent))
    ]


def test_it_trains_as_it_does_without_logging(
    example: Any,
    settings: Any,
    run: tuple[Any, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("JAXLOG", "off")
    silent = trained(example, settings, tmp_path / "off")
    assert not (tmp_path / "off").exists()
    assert parameters(silent) == parameters(run[0])


def test_it_learns_to_read_and_says_what_to_look_at(
    example: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    example.main(epochs=4)
    (directory,) = (tmp_path / "runs").iterdir()
    evaluations = read(directory / "eval_metrics.jsonl")
    assert evaluations[0]["metrics"]["accuracy"] < evaluations[-1]["metrics"]["accuracy"] > 0.8
    said = capfd.readouterr().out
    assert f"after step 64: {evaluations[-1]['metrics']['accuracy']:.1%}" in said
    assert f"jaxlog show runs/{directory.name}" in said
