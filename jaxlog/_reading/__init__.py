"""Reads the files of runs into frames and arrays. Never imports JAX."""
