"""The `jaxlog` command: one module per subcommand, and `main`, which selects one of them."""
