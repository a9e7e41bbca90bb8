"""Words of a page: by key or section and key, both languages from one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.text.words import read_words, words_in


def test_words_stand_side_by_side_and_a_section_is_part_of_the_key(tmp_path: Path) -> None:
    file = tmp_path / "texts.toml"
    file.write_text('title = ["Report", "报告"]\n[page]\nmade = ["made", "生成于"]\n', encoding="utf-8")
    assert read_words(file) == {"title": ("Report", "报告"), "page.made": ("made", "生成于")}
    assert words_in(file, "en") == {"title": "Report", "page.made": "made"}
    assert words_in(file, "zh") == {"title": "报告", "page.made": "生成于"}


@pytest.mark.parametrize("entry", ['["Report"]', '["Report", "报告", "Bericht"]'])
def test_a_word_of_one_language_or_of_three_is_no_word(tmp_path: Path, entry: str) -> None:
    (tmp_path / "texts.toml").write_text(f"title = {entry}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="values to unpack"):
        read_words(tmp_path / "texts.toml")
