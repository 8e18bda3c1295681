"""From the files of runs to frames and arrays. Never JAX."""
