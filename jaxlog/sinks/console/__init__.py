"""The console: a table to watch in a terminal or a notebook, plain lines everywhere else."""

from jaxlog.sinks.console.sink import ConsoleSettings as ConsoleSettings
from jaxlog.sinks.console.sink import ConsoleSink as ConsoleSink
