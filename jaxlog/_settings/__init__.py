"""Settings: their models, and loading them. Nothing else in jaxlog reads YAML."""

from jaxlog._errors import ConfigError as ConfigError
from jaxlog._errors import ConfigWarning as ConfigWarning
from jaxlog._settings.alerts import address_of as address_of
from jaxlog._settings.environment import native_crossing as native_crossing
from jaxlog._settings.environment import recorded_variables as recorded_variables
from jaxlog._settings.environment import switched_on as switched_on
from jaxlog._settings.loading import load_config as load_config
from jaxlog._settings.models import LoggingConfig as LoggingConfig
from jaxlog._settings.typed import SettingsDict as SettingsDict
