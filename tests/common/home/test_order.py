"""What a training leaves is on disk in an order that a power cut cannot turn around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.home.registry import Registry
from common.party import Party
from tests.common.disk.diary import Diary
from tests.common.stages.companies import Companies, frames


async def test_a_model_is_on_disk_before_a_registry_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    companies, enter = Companies(tmp_path), Registry.enter
    companies.write(frames(seed=1, monthly=False))
    with Diary() as diary:

        def noted(book: Registry, *row: Any) -> None:
            diary.note(f"enter {book._file.parent}")
            enter(book, *row)

        monkeypatch.setattr(Registry, "enter", noted)
        await companies.run("job-1", companies.plan())
    for party in Party:
        folder = companies.models(party).folder("job-1")
        before = diary.entries[: diary.entries.index(f"enter {companies.home(party)}")]
        for name in ("arrays.npz", "model.json"):
            synced, named = before.index(f"sync {folder / f'.{name}.part'}"), before.index(f"name {folder / name}")
            assert synced < named and f"sync {folder}" in before[named:]
        assert f"sync {folder.parent}" in before and f"sync {folder.parent.parent}" in before
