"""What is made of records does not depend on how much of them is worked on at once, or on where the rest is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from common.disk.scratch import Scratch
from common.errors import DataError
from common.party import Party
from common.records import make as module
from common.records.build import build, write
from common.records.clean import clean
from common.records.config import Cleaning, RecordsConfig
from common.records.defaults import default_recipes
from common.records.findings import Journal
from common.records.held import Held, Room
from common.records.make import make_features, suspects
from common.records.quality import quality
from common.records.rows import Records, settled
from common.records.source import read
from tests.memory import held_at_most

FIELDS: dict[str, Any] = {
    "tax_amount": {"column": "tax", "outliers": {"rule": "clip"}},
    "loan_amount": {"column": "loan", "several": "sum"},
    "region": {"column": "region", "kind": "categorical"},
    "overdue": {"column": "late", "kind": "flag", "role": "label"},
}


def records(path: Path, seed: int, *, again: bool = True, gaps: bool = True) -> Path:
    """Monthly records of 60 enterprises in no order: rows twice, alike or not, months left out, words, far values."""
    rng = np.random.default_rng(seed)
    lines = []
    for enterprise in range(60):
        for month in range(int(rng.integers(1, 14))):
            if gaps and rng.random() < 0.08:
                continue
            tax = "?" if rng.random() < 0.02 else f"{rng.lognormal(3, 1) * (1e6 if rng.random() < 0.02 else 1):.2f}"
            line = [f"e{enterprise:03}", f"2024-{month + 1:02}" if month < 12 else "2025-01", tax, f"{rng.integers(0, 99)}"]
            line += [str(rng.choice(["north", "south", ""])), str(int(rng.random() < 0.2))]
            lines.append(line)
            if again and rng.random() < 0.1:
                lines.append([*line[:2], tax if rng.random() < 0.5 else "7", *line[3:]])
    order = rng.permutation(len(lines))
    path.write_text("id,month,tax,loan,region,late\n" + "".join(",".join(lines[k]) + "\n" for k in order), encoding="utf-8")
    return path


def config(path: Path, fields: dict[str, Any] = FIELDS, **cleaning: Any) -> RecordsConfig:
    keys = {"id": "id", "month": "month"}
    return RecordsConfig.model_validate(
        {"party": "bank", "source": {"path": str(path)}, "keys": keys, "fields": fields, "cleaning": cleaning}
        | {"samples": {"min_history": 2, "ahead": 1}}
    )


def small(folder: Path, cells: int = 30, workers: int = 2) -> Room:
    """All arrays in files, two or three enterprises at a time."""
    return Room(Scratch(folder, 0), cells, workers)


def made(settings: RecordsConfig, room: Room, out: Path) -> tuple[str, str, tuple[str, ...]]:
    """(the file's digest, the report, what looks like the label)."""
    cleaned = clean(settings, read(settings, room.scratch), room)
    recipes = default_recipes(Party.BANK, cleaned.panel, settings.samples)
    features = build(cleaned.panel, recipes, settings.samples, room=room)
    return write(features, out), quality(settings, cleaned).as_json(), suspects(features)


@pytest.mark.parametrize("rule", ["first", "last", "null", "drop"])
@pytest.mark.parametrize("gaps", ["null", "drop"])
def test_features_and_report_are_the_same_in_any_room(rule: str, gaps: str, tmp_path: Path) -> None:
    settings = config(records(tmp_path / "r.csv", seed=len(rule + gaps)), duplicates=rule, gaps=gaps, max_gap=1)
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    assert '"conflict"' in whole[1] and '"gap"' in whole[1] and '"outlier"' in whole[1] and '"several"' in whole[1]
    for cells in (1, 30, 400):
        assert made(settings, small(tmp_path / "scratch", cells), tmp_path / "parts.parquet") == whole


def test_rows_twice_without_a_rule_to_join_them(tmp_path: Path) -> None:
    fields = FIELDS | {"loan_amount": "loan"}
    settings = config(records(tmp_path / "r.csv", seed=3, gaps=False), fields, duplicates="last")
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    assert '"duplicate"' in whole[1] and '"several"' not in whole[1]
    assert made(settings, small(tmp_path / "scratch"), tmp_path / "parts.parquet") == whole


@pytest.mark.parametrize("cleaning", [{"duplicates": "refuse"}, {"duplicates": "first", "gaps": "refuse"}, {"gaps": "refuse"}])
def test_a_refusal_is_the_same_in_any_room(cleaning: dict[str, Any], tmp_path: Path) -> None:
    """The first place and how many there are in all; rows twice come before gaps, whichever part has them."""
    settings = config(records(tmp_path / "r.csv", seed=5), FIELDS | {"loan_amount": "loan"}, **cleaning)
    said = []
    for room in (Room(), small(tmp_path / "scratch"), small(tmp_path / "scratch", cells=1)):
        with pytest.raises(DataError) as caught:
            clean(settings, read(settings, room.scratch), room)
        said.append((str(caught.value), caught.value.public))
    assert len(set(said)) == 1 and ("gaps)" in said[0][1] or "rows too many)" in said[0][1])


def test_a_wide_source_is_the_same_in_any_room(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    months = [f"2024-{m:02}" for m in range(1, 7)]
    lines = ["id,region,late," + ",".join(f"tax{m}" for m in range(6))]
    lines += [f"e{e},{'ab'[e % 2]},{e % 3 // 2}," + ",".join(f"{x:.1f}" for x in rng.lognormal(3, 1, 6)) for e in range(50)]
    (tmp_path / "wide.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = RecordsConfig.model_validate(
        {
            "party": "bank",
            "source": {"path": str(tmp_path / "wide.csv"), "months": months},
            "keys": {"id": "id"},
            "fields": {
                "tax_amount": {"column": [f"tax{m}" for m in range(6)]},
                "region": {"column": "region", "kind": "categorical"},
                "overdue": {"column": "late", "kind": "flag", "role": "label", "label_month": "2024-07"},
            },
            "samples": {"min_history": 6, "ahead": 1},
        }
    )
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    assert made(settings, small(tmp_path / "scratch", cells=20), tmp_path / "parts.parquet") == whole


def test_a_parquet_file_of_text_is_the_same_in_any_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read some rows after the other, rows of bad ids left out, sorted a few ids at a time."""
    monkeypatch.setattr("common.rows.formats.parquet._PIECE", 50)
    table = csv.read_csv(
        records(tmp_path / "r.csv", seed=4),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(("id", "month", "tax", "loan", "late"), "string")),
    )
    ids = ["N/A" if k % 31 == 0 else text for k, text in enumerate(table["id"].to_pylist())]
    pq.write_table(table.set_column(0, "id", [ids]), tmp_path / "r.parquet", row_group_size=20)
    settings = config(tmp_path / "r.parquet", duplicates="last")
    settings = settings.model_copy(update={"keys": settings.keys.model_copy(update={"bad_id": "drop"})})
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    assert '"N/A' in whole[1]
    monkeypatch.setattr("common.records.clean._BLOCK", 40)
    assert made(settings, small(tmp_path / "scratch"), tmp_path / "parts.parquet") == whole


def test_groups_of_the_file_are_cut_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.records.build._GROUP", 64)
    settings = config(records(tmp_path / "r.csv", seed=8, again=False))
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    assert made(settings, small(tmp_path / "scratch"), tmp_path / "parts.parquet") == whole


def test_from_a_configuration_with_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the outputs is left behind, and a disk that is full is said."""
    records(tmp_path / "r.csv", seed=2)
    text = """
party = "bank"
source = { path = "r.csv" }
keys = { id = "id", month = "month" }
samples = { min_history = 2 }
fields = { tax_amount = "tax" }
cleaning = { duplicates = "last" }
"""
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "_CELLS", 50)
    monkeypatch.setattr(module, "_PART", 1 << 20)
    monkeypatch.setattr(module, "Scratch", lambda folder, budget: Scratch(folder, 0))
    make_features(tmp_path / "r.toml", tmp_path / "few.parquet", memory_mib=1, workers=2)
    make_features(tmp_path / "r.toml", tmp_path / "all.parquet")
    assert (tmp_path / "few.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"r.csv", "r.toml", "few.parquet", "all.parquet"}

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.disk.scratch._write", full)
    with pytest.raises(DataError, match="no space is left"):
        make_features(tmp_path / "r.toml", tmp_path / "none.parquet", memory_mib=1)
    assert not (tmp_path / "none.parquet").exists()


def test_rules_over_rows_of_some_enterprises_copy_nothing_of_all() -> None:
    """Each part's place among the ids was looked for in a copy of all of them, of another type."""
    count = 1 << 21
    every = np.repeat(np.arange(count >> 4, dtype=np.int32), 16)
    when = np.tile(np.arange(24_000, 24_016, dtype=np.int32), count >> 4)
    numeric = Held({"tax_amount": np.zeros(count)})
    given = Records(np.full(count >> 4, "", object), np.arange(count), every, when, numeric, Held({}), {})
    with held_at_most(12):
        kept = settled(given, Cleaning(), {}, Journal(cast(Any, None)), Room(cells=1 << 16))
    assert kept.count == count
