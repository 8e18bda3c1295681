"""Pure functions that run in the compiled program; they know no sink."""
