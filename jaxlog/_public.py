"""The public names, and where each is from."""

from jaxlog._analysis.comparing import Comparison, compare
from jaxlog._analysis.run_data import RunData, read_run
from jaxlog._analysis.runs_data import RunsData, read_runs
from jaxlog._calls.step import batch_step, from_info, log
from jaxlog._calls.windows import empty_window, log_window, window_step
from jaxlog._errors import LoggingError
from jaxlog._format.events import (
    Account,
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Key,
    Lane,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._host.run import Run
from jaxlog._logger import Logger
from jaxlog._program.episodes import EpisodeTracker
from jaxlog._program.histogram import histogram
from jaxlog._program.quantiles import QuantileSketch
from jaxlog._program.record import Record
from jaxlog._program.sampling import sample_indices, sample_indices_where
from jaxlog._program.statistics import Moments
from jaxlog._program.window import Window
from jaxlog._settings import ConfigError, ConfigWarning, LoggingConfig, load_config
from jaxlog.sinks.sink import Sink, SinkSettings

__all__ = [
    "Account",
    "Comparison",
    "ConfigError",
    "ConfigWarning",
    "EpisodeEvent",
    "EpisodeTracker",
    "EvaluationEvent",
    "Histogram",
    "Key",
    "Lane",
    "Logger",
    "LoggingConfig",
    "LoggingError",
    "MetricsEvent",
    "Moments",
    "QuantileSketch",
    "Record",
    "Run",
    "RunData",
    "RunInfo",
    "RunsData",
    "Sink",
    "SinkSettings",
    "StepEvent",
    "TaskEvent",
    "Window",
    "batch_step",
    "compare",
    "empty_window",
    "from_info",
    "histogram",
    "load_config",
    "log",
    "log_window",
    "read_run",
    "read_runs",
    "sample_indices",
    "sample_indices_where",
    "window_step",
]
