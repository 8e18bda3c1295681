"""Pages from templates: values are text, and a mistake in a template is an error."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from jaxlog._analysis import html_pages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a template."""
    name = f"package_of_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    text = '<p title="{{ value }}">{{ value }}</p><script>{{ data | tojson }}</script>'
    (tmp_path / name / "page.html.jinja").write_text(text)
    return name


def test_values_are_text_and_data_does_not_end_its_script(package: str) -> None:
    hostile = "</script><img src=x onerror='alert(1)'>\"&\x00\ud800"
    text = "&lt;/script&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&#34;&amp;\ufffd\ufffd"
    data = (
        '"\\u003c/script\\u003e\\u003cimg src=x onerror=\\u0027alert(1)\\u0027\\u003e\\"\\u0026'
        '\\u0000\\ud800"'
    )
    page = html_pages.rendered(package, "page.html.jinja", value=hostile, data=hostile)
    assert page == f'<p title="{text}">{text}</p><script>{data}</script>'


def test_a_name_without_a_value_and_a_number_that_json_lacks_are_errors(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'value' is undefined"):
        html_pages.rendered(package, "page.html.jinja", data=1)
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        html_pages.rendered(package, "page.html.jinja", value=1, data=float("nan"))
