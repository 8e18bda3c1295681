"""Serves the page of some runs over HTTP: a process of its own, which only reads."""
