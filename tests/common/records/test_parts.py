"""Features made part by part by nodes of a cluster are those of one process, to the last byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from common.records.build import build
from common.records.clean import clean
from common.records.entries import make
from common.records.held import Codes, Room
from common.records.panel import Panel
from common.records.parts import column, columns_of, packed, unpacked
from common.records.recipe import LABEL
from common.records.source import read
from tests.common.records.test_room import config, made, records, small
from tests.common.scale.engines import HereEngine

WINDOWED = ("mean", "sum", "max", "min", "trend", "volatility", "count", "share", "since", "utilisation", "growth")
RECIPES = make(
    *({"kind": kind, "field": ["tax_amount", "loan_amount"], "window": 4, "lag": [0, 1]} for kind in WINDOWED),
    *({"kind": kind, "field": ["tax_amount", "region"]} for kind in ("last", "static")),
    {"kind": "count", "field": "label", "window": 3, "lag": 1},
    {"kind": "bucket", "field": "tax_amount", "edges": [0.1, 10.0]},
    {"kind": "ratio", "numerator": "tax_amount", "denominator": "loan_amount", "window": 3},
    {"kind": "age"},
)


@pytest.mark.parametrize("cells", [1, 30, 400, 1 << 62])
def test_file_and_report_are_the_same_by_an_engine_and_without(cells: int, tmp_path: Path) -> None:
    settings = config(records(tmp_path / "r.csv", seed=4), duplicates="last")
    whole = made(settings, Room(), tmp_path / "whole.parquet")
    engine = HereEngine(tmp_path)
    assert made(settings, Room(cells=cells, engine=engine), tmp_path / "parts.parquet") == whole
    stored = replace(small(tmp_path / "scratch", cells), engine=HereEngine(tmp_path))
    assert made(settings, stored, tmp_path / "stored.parquet") == whole
    assert (engine.parts == 1) == (cells > 1000)


@given(seed=st.integers(0, 1 << 30), enterprises=st.integers(1, 9), months=st.integers(1, 14), label=st.booleans())
@settings(max_examples=40, deadline=None)
def test_columns_of_a_file_are_those_of_the_panel(seed: int, enterprises: int, months: int, label: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = enterprises, months

    def numbers() -> np.ndarray:
        return np.where(rng.random(shape) < 0.2, np.nan, rng.normal(size=shape) * 10.0 ** rng.integers(-3, 9, shape))

    numeric = {"tax_amount": numbers(), "loan_amount": numbers(), "unused": np.full(shape, 12345.678)}
    coded = {"region": Codes(rng.integers(-1, 2, shape).astype(np.int16), ("north", "south"))}
    known = np.where(rng.random(shape) < 0.2, np.nan, rng.integers(0, 2, shape)) if label else None
    ids = np.array([f"planted-{k}" for k in range(enterprises)], object)
    panel, mask = Panel(ids, 24000, rng.random(shape) < 0.9, numeric, coded, known), rng.random(shape) < 0.7
    recipes = [recipe for recipe in RECIPES if label or LABEL not in recipe.fields]
    file = packed(panel, mask, recipes)
    assert b"planted" not in file
    assert numeric["unused"].tobytes() not in file
    for recipe, values in zip(recipes, unpacked(columns_of(file)), strict=True):
        own = column(recipe, panel, mask)
        assert values.dtype == own.dtype and values.tobytes() == own.tobytes()


def test_the_first_part_that_fails_is_told_as_here(tmp_path: Path) -> None:
    settings = config(records(tmp_path / "r.csv", seed=6), duplicates="last")
    cleaned = clean(settings, read(settings))
    recipes = make({"kind": "sum", "field": "tax_amount", "window": 3})
    cleaned.panel.numeric["tax_amount"][[7, 40]] = 1e300
    said = []
    for room in (Room(), Room(cells=100, engine=HereEngine(tmp_path))):
        with pytest.raises(DataError) as caught:
            build(cleaned.panel, recipes, settings.samples, room=room)
        said.append((str(caught.value), caught.value.public, caught.value.remedy))
    assert said[0] == said[1] and "beyond float32" in said[0][0]
