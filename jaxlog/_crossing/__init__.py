"""The only way out of the compiled program: a primitive, one buffer, one callback."""
