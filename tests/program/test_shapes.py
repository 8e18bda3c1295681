"""Shapes in signatures are checked in the tests, and cost a user nothing."""

from __future__ import annotations

import subprocess
import sys

import jax.numpy as jnp
import jaxtyping
import pytest

from jaxlog._program.quantiles import QuantileSketch
from jaxlog._program.statistics import count_of


def test_a_mask_of_another_shape_is_found() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="typechecking parameter 'arrays'"):
        QuantileSketch._of((jnp.ones(3), jnp.ones(4, bool)))


def test_another_dtype_is_found() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="typechecking parameter 'mask'"):
        count_of(jnp.ones(3))


def test_a_user_needs_no_package_for_them() -> None:
    program = """
import sys, typing
import jax
from jaxlog.statistics import histogram, sample_indices_where
assert not {"jaxtyping", "beartype"} & sys.modules.keys()
functions = histogram, sample_indices_where
found = [typing.get_type_hints(function)["return"] for function in functions]
assert found == [jax.Array, tuple[jax.Array, jax.Array]], found
"""
    subprocess.run([sys.executable, "-c", program], check=True)
