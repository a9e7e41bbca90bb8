from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment, UndefinedError

from common.text.templates import pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.j2").write_text("{{ 1 | shown }} {{ t() }} {{ name }}", encoding="utf-8")
    return tmp_path


def one(number: int) -> str:
    return f"one {number}"


def other(number: int) -> str:
    return f"other {number}"


def rendered(environment: Environment, word: str) -> str:
    environment.globals["t"] = lambda: word
    return environment.get_template("page.j2").render(name="<b>")


def test_a_template_is_compiled_once_a_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(pages([folder], {"shown": one}), "first") == "one 1 first &lt;b&gt;"

    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(Environment, "compile", compiled)
    assert rendered(pages([folder], {"shown": one}), "second") == "one 1 second &lt;b&gt;"


def test_filters_of_another_page_and_an_edited_file_are_not_served_by_what_was_compiled(folder: Path) -> None:
    assert rendered(pages([folder], {"shown": one}), "a") == "one 1 a &lt;b&gt;"
    assert rendered(pages([folder], {"shown": other}), "b") == "other 1 b &lt;b&gt;"
    (folder / "page.j2").write_text("now {{ t() }}", encoding="utf-8")
    assert rendered(pages([folder], {"shown": one}), "c") == "now c"


def test_a_name_that_nothing_fills_in_is_an_error(folder: Path) -> None:
    environment = pages([folder], {"shown": one})
    with pytest.raises(UndefinedError):
        environment.get_template("page.j2").render()
