"""Pure functions that run in the compiled program, without access to sinks, runs or settings."""
