"""A classifier of drawn digits in flax NNX: all epochs in one program, logged while it runs.

`jaxlog.log` stands where the values are: in the loss, which `nnx.grad` differentiates, in the
training step, and after each epoch, for digits that the model was not trained with. Each of the
three has a `name`, which is the first word of its file's name and of its keys.

Run it with `python examples/supervised.py`, or with `--help`. It needs the extra `demo`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx

import jaxlog

GLYPHS = """\
### .#. ### ### #.# ### ### ### ### ###
#.# ##. ..# ..# #.# #.. #.. ..# #.# #.#
#.# .#. ### ### ### ### ### .#. ### ###
#.# .#. #.. ..# ..# ..# #.# .#. #.# ..#
### ### ### ### ..# ### ### .#. ### ###
"""
MARGIN = 3  # how far a digit may lie from the upper left corner of its image

CONFIG = {
    "log_frequency": 1,  # every step; of evaluations, too, none is to be left out
    "sinks": [{"kind": "jsonl"}, {"kind": "console"}],
}


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of one training run."""

    epochs: int = 10  # passes over the training digits
    batch_size: int = 128  # digits in each gradient step; divides training_digits
    features: int = 64  # of the only convolution
    learning_rate: float = 1e-2  # Adam's step size at the start, annealed to zero as a cosine
    noise: float = 0.2  # standard deviation of what is added to pixels, which are 0 or 1
    training_digits: int = 2048
    test_digits: int = 1024
    seed: int = 0

    @property
    def num_steps(self) -> int:
        """How many gradient steps a run has."""
        return self.epochs * self.training_digits // self.batch_size


class Digits(NamedTuple):
    """Images, and what they show."""

    images: jax.Array  # float32[n, height, width]
    labels: jax.Array  # int32[n], 0 to 9


def draw_digits(key: jax.Array, count: int, noise: float) -> Digits:
    """Draw digits by chance, each somewhere in its image, under noise."""
    label_key, place_key, noise_key = jax.random.split(key, 3)
    signs = np.array([[list(glyph) for glyph in line.split()] for line in GLYPHS.splitlines()])
    glyphs = (signs == "#").astype(np.float32).swapaxes(0, 1)  # [10, 5, 3]
    corners = jnp.pad(glyphs, ((0, 0), (0, MARGIN), (0, MARGIN)))
    labels = jax.random.randint(label_key, (count,), 0, 10)
    shifts = jax.random.randint(place_key, (count, 2), 0, MARGIN + 1)
    move = jax.vmap(lambda image, shift: jnp.roll(image, shift, axis=(0, 1)))
    images = move(corners[labels], shifts)
    return Digits(images + noise * jax.random.normal(noise_key, images.shape), labels)


class Classifier(nnx.Module):
    """Looks for features as large as a digit anywhere in an image; makes a logit for each digit."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(1, features, kernel_size=(5, 3), padding="VALID", rngs=rngs)
        self.output = nnx.Linear(features, 10, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Return the logits, [n, 10]."""
        found = nnx.relu(self.conv(images[..., None]))  # [n, place, place, features]
        return self.output(found.max(axis=(1, 2)))


def measure(model: Classifier, digits: Digits) -> dict[str, jax.Array]:
    """Return what training lowers, and what it is for."""
    logits = model(digits.images)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, digits.labels)
    return {"loss": losses.mean(), "accuracy": (logits.argmax(axis=-1) == digits.labels).mean()}


Carry = tuple[Classifier, nnx.Optimizer[Classifier]]
Loss = Callable[[Classifier, Digits, jax.Array], jax.Array]


def make_loss(logger: jaxlog.Logger) -> Loss:
    """Return the loss of one batch, which logs whenever it is computed."""

    def loss_of(model: Classifier, batch: Digits, step: jax.Array) -> jax.Array:
        measured = measure(model, batch)
        jaxlog.log(logger, step, measured, name="train")  # no has_aux: it leaves from here
        return measured["loss"]

    return loss_of


def make_train(
    settings: Settings, logger: jaxlog.Logger
) -> Callable[[Classifier, Digits, Digits], None]:
    """Return `train(model, training, test)`: all epochs in one program, which changes the model."""
    schedule = optax.cosine_decay_schedule(settings.learning_rate, settings.num_steps)
    loss_of = make_loss(logger)

    @nnx.jit
    def train(model: Classifier, training: Digits, test: Digits) -> None:
        def run_step(carry: Carry, step: jax.Array, rows: jax.Array) -> Carry:
            model, optimizer = carry
            batch = Digits(training.images[rows], training.labels[rows])
            gradients = nnx.grad(loss_of)(model, batch, step)
            optimizer.update(model, gradients)
            values = {
                "gradient_norm": optax.tree.norm(gradients),
                "learning_rate": schedule(step),
            }
            jaxlog.log(logger, step, values, name="optimizer")
            return carry

        def run_epoch(carry: Carry, steps: jax.Array, key: jax.Array) -> Carry:
            rows = jax.random.permutation(key, settings.training_digits)
            scan_steps = nnx.scan(run_step, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry)
            carry = scan_steps(carry, steps, rows.reshape(-1, settings.batch_size))
            jaxlog.log(logger, steps[-1], measure(carry[0], test), name="eval")
            return carry

        optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)
        scan_epochs = nnx.scan(run_epoch, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry)
        steps = jnp.arange(settings.num_steps).reshape(settings.epochs, -1)
        keys = jax.random.split(jax.random.key(settings.seed), settings.epochs)
        scan_epochs((model, optimizer), steps, keys)

    return train


def make_data(settings: Settings) -> tuple[Digits, Digits]:
    """Return the digits to train with, and others to test with."""
    training_key, test_key = jax.random.split(jax.random.key(settings.seed + 1))
    return (
        draw_digits(training_key, settings.training_digits, settings.noise),
        draw_digits(test_key, settings.test_digits, settings.noise),
    )


def main(directory: Path | None = None, epochs: int = Settings.epochs) -> Classifier:
    """A classifier of digits: trains it, logged from inside of the loss, then says how it does.

    Args:
      directory: Of the run. By default a new one in `runs`.
      epochs: How often it sees all training digits.
    """
    settings = Settings(epochs=epochs)
    logger = jaxlog.Logger(CONFIG, total_updates=settings.num_steps)
    training, test = make_data(settings)
    model = Classifier(settings.features, nnx.Rngs(settings.seed))
    directory = directory or Path("runs") / time.strftime("supervised-%Y%m%d-%H%M%S")
    train = make_train(settings, logger)
    with logger.open(directory, config=dataclasses.asdict(settings)):
        train(model, training, test)

    accuracy = float(measure(model, test)["accuracy"])
    print(f"\nOf the digits that it was not trained with, it knows {accuracy:.1%}.")
    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog show {directory}")
    print(f"  jaxlog report {directory} -o report.html")
    return model


if __name__ == "__main__":
    tyro.cli(main)
