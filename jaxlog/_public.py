"""The public names, and where each is from."""

from jaxlog._errors import LoggingError
from jaxlog.events import (
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
from jaxlog.explore.comparing import Comparison, compare
from jaxlog.explore.run_data import RunData, read_run
from jaxlog.explore.runs_data import RunsData, read_runs
from jaxlog.graph.episodes import EpisodeTracker
from jaxlog.graph.histogram import histogram
from jaxlog.graph.quantiles import QuantileSketch
from jaxlog.graph.record import Record
from jaxlog.graph.sampling import sample_indices, sample_indices_where
from jaxlog.graph.statistics import Moments
from jaxlog.graph.window import Window
from jaxlog.host.run import Run
from jaxlog.logger import Logger
from jaxlog.settings import ConfigError, ConfigWarning, LoggingConfig, load_config
from jaxlog.sinks.sink import Sink, SinkSettings
from jaxlog.step import batch_step, from_info, log
from jaxlog.windows import empty_window, log_window, window_step

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
