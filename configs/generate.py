"""Writes what is made from the settings' models: schema.json here, and docs/settings.md."""

import json
from pathlib import Path

from jaxlog.settings.reference import json_schema, reference

CONFIGS = Path(__file__).parent

if __name__ == "__main__":
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    (CONFIGS / "schema.json").write_text(f"{schema}\n", encoding="utf-8")
    (CONFIGS.parent / "docs" / "settings.md").write_text(reference(), encoding="utf-8")
