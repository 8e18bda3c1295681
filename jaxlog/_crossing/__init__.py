"""The only way out of the compiled program: a primitive, one buffer, one callback."""

from jaxlog._crossing import loops as loops  # registers the rules that the primitive needs
