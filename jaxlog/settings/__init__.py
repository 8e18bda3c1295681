"""What a user may choose, and loading it. Nothing else in jaxlog reads YAML."""

from jaxlog.settings.environment import switched_on as switched_on
from jaxlog.settings.loading import load_config as load_config
from jaxlog.settings.models import LoggingConfig as LoggingConfig
from jaxlog.settings.problems import ConfigError as ConfigError
from jaxlog.settings.problems import ConfigWarning as ConfigWarning
