"""jaxlog's format: events, records, lines, the meaning of keys, health, statistics over lanes.

Writers, readers and displays share it. It imports neither JAX nor a sink.
"""
