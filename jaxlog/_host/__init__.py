"""Takes records in and hands them to sinks: NumPy and threads, never JAX."""
