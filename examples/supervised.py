"""A classifier of drawn digits in flax NNX: all epochs in one program, logged while it runs.

`jaxlog.log` is called where the values are computed: in the loss, which `nnx.grad` differentiates,
in the training step, and after each epoch, for test digits. Each of the three calls has a `name`,
with which the name of its file and its keys begin.

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
MARGIN = 3  # largest distance of a digit from the upper left corner of its image

SETTINGS = {
    "log_frequency": 1,  # a line for every step; an evaluation is logged every time anyway
    "sinks": [{"kind": "jsonl"}, {"kind": "console"}],
}


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of one training run."""

    epochs: int = 10  # passes over the training digits
    batch_size: int = 128  # digits in each gradient step; divides training_digits
    features: int = 64  # output features of the convolution
    learning_rate: float = 1e-2  # Adam's step size at the start, annealed to zero with a cosine
    noise: float = 0.2  # standard deviation of the noise on pixels, which are 0 or 1
    training_digits: int = 2048
    test_digits: int = 1024
    seed: int = 0

    @property
    def num_steps(self) -> int:
        """Number of gradient steps in a run."""
        return self.epochs * self.training_digits // self.batch_size


class Digits(NamedTuple):
    """Images and their labels."""

    images: jax.Array  # float32[n, height, width]
    labels: jax.Array  # int32[n], 0 to 9


def draw_digits(key: jax.Array, count: int, noise: float) -> Digits:
    """Draw random digits at random positions in their images, with noise."""
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
    """A convolution as large as a digit, its maximum over the image, and a linear layer."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(1, features, kernel_size=(5, 3), padding="VALID", rngs=rngs)
        self.output = nnx.Linear(features, 10, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Return the logits, [n, 10]."""
        found = nnx.relu(self.conv(images[..., None]))  # [n, row, column, features]
        return self.output(found.max(axis=(1, 2)))


def measure(model: Classifier, digits: Digits) -> dict[str, jax.Array]:
    """Return the loss and the accuracy."""
    logits = model(digits.images)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, digits.labels)
    return {"loss": losses.mean(), "accuracy": (logits.argmax(axis=-1) == digits.labels).mean()}


Carry = tuple[Classifier, nnx.Optimizer[Classifier]]
Loss = Callable[[Classifier, Digits, jax.Array], jax.Array]


def make_loss(logger: jaxlog.Logger) -> Loss:
    """Return the loss function of a batch; it logs each time it is computed."""

    def loss_of(model: Classifier, batch: Digits, step: jax.Array) -> jax.Array:
        measured = measure(model, batch)
        jaxlog.log(logger, step, measured, name="train")  # no has_aux is needed
        return measured["loss"]

    return loss_of


def make_train(
    config: Config, logger: jaxlog.Logger
) -> Callable[[Classifier, Digits, Digits], None]:
    """Return `train(model, training, test)`: all epochs in one program, which changes the model."""
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.num_steps)
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
            rows = jax.random.permutation(key, config.training_digits)
            scan_steps = nnx.scan(run_step, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry)
            carry = scan_steps(carry, steps, rows.reshape(-1, config.batch_size))
            jaxlog.log(logger, steps[-1], measure(carry[0], test), name="eval")
            return carry

        optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)
        scan_epochs = nnx.scan(run_epoch, in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry)
        steps = jnp.arange(config.num_steps).reshape(config.epochs, -1)
        keys = jax.random.split(jax.random.key(config.seed), config.epochs)
        scan_epochs((model, optimizer), steps, keys)

    return train


def make_data(config: Config) -> tuple[Digits, Digits]:
    """Return training digits and test digits."""
    training_key, test_key = jax.random.split(jax.random.key(config.seed + 1))
    return (
        draw_digits(training_key, config.training_digits, config.noise),
        draw_digits(test_key, config.test_digits, config.noise),
    )


def main(directory: Path | None = None, epochs: int = Config.epochs) -> Classifier:
    """Train a classifier of digits, logged from inside the loss, and print its test accuracy.

    Args:
      directory: Directory of the run; by default a new one in `runs`.
      epochs: Number of passes over the training digits.
    """
    config = Config(epochs=epochs)
    logger = jaxlog.Logger(SETTINGS, total_updates=config.num_steps)
    training, test = make_data(config)
    model = Classifier(config.features, nnx.Rngs(config.seed))
    directory = directory or Path("runs") / time.strftime("supervised-%Y%m%d-%H%M%S")
    train = make_train(config, logger)
    with logger.open(directory, config=dataclasses.asdict(config)):
        train(model, training, test)

    accuracy = float(measure(model, test)["accuracy"])
    print(f"\nTest accuracy: {accuracy:.1%}")
    print(f"\nThe run is in {directory}. To look at it:")
    print(f"  jaxlog show {directory}")
    print(f"  jaxlog report {directory} -o report.html")
    return model


if __name__ == "__main__":
    tyro.cli(main)
