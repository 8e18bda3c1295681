"""Images in a program: pytrees, which it sends as uint8."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog._format.media import Image

jax.tree_util.register_pytree_node(
    Image,
    lambda image: ((image.array,), image.caption),
    lambda caption, leaf: Image(*leaf, caption),
)


def image_bytes(array: Any) -> tuple[jax.Array, jax.Array]:
    """Converts an image to uint8, and counts the numbers that no uint8 is nearest to.

    Args:
      array: uint8, or floats from 0 to 1.

    Returns:
      The same shape in uint8, and `uint32[]`, the count, which includes what is not finite.
    """
    if array.dtype == np.uint8:
        return array, jnp.uint32(0)
    scaled = jnp.rint(jnp.float32(255) * array.astype(np.float32))
    inside = (scaled >= 0) & (scaled <= 255)  # False for NaN
    outside = jnp.sum(~inside, dtype=np.uint32)
    return jnp.where(inside, scaled, 0).astype(np.uint8), outside
