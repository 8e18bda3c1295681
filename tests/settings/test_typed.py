"""The types of settings name each key, and no other."""

from __future__ import annotations

import jaxlog
from jaxlog._settings.typed import GivenSettings


def test_the_types_have_the_keys_of_the_model() -> None:
    assert list(GivenSettings.__annotations__) == list(jaxlog.LoggingConfig.model_fields)
    others = jaxlog.SettingsDict.__annotations__.keys() - GivenSettings.__annotations__.keys()
    assert others == {"extends"}


def test_a_dict_of_this_type_is_taken() -> None:
    settings: jaxlog.SettingsDict = {"log_frequency": 5, "sinks": [{"kind": "memory"}]}
    assert jaxlog.load_config(settings).log_frequency == 5
