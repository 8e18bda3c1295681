"""Pure functions that run in the compiled program. They know no sink, no run, no settings."""
