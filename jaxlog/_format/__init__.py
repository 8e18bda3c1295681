"""jaxlog's file format: the kinds of line, what a key means, and statistics over the lanes.

What writes files, what reads them and what shows values take it from here. It imports neither JAX
nor a sink.
"""
