"""The sink `console`: a live table in a terminal or a notebook, plain lines everywhere else."""

from jaxlog.sinks.console.sink import ConsoleSettings as ConsoleSettings
from jaxlog.sinks.console.sink import ConsoleSink as ConsoleSink
