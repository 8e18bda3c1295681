"""Generates configs/schema.json and docs/settings.md from the models of the settings."""

import json
from pathlib import Path

from jaxlog._settings.reference import json_schema, reference

DOCS = Path(__file__).parent

if __name__ == "__main__":
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    (DOCS.parent / "configs" / "schema.json").write_text(f"{schema}\n", encoding="utf-8")
    (DOCS / "settings.md").write_text(reference(), encoding="utf-8")
