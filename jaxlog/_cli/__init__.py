"""The `jaxlog` command: a module for each of its subcommands, which `main` puts together."""
