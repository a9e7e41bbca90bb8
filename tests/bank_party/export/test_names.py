"""Columns of a bank that have names of what an export makes, models with little to interpolate, numbers that are none: read as
they are meant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from bank_party.decision.calibrate import Calibration
from bank_party.decision.config import DecisionConfig
from bank_party.export.formula import GRID_PART, Formula, Linear, Steps, make_formula
from bank_party.export.pmml import as_pmml
from bank_party.export.sql import as_sql
from common.errors import ConfigError
from tests.bank_party.decision.worlds import held_out

GRID = 0.4


def linear(column: str) -> Linear:
    bounds = {"mean": 0.0, "deviation": 1.0, "low": -5.0, "high": 5.0}
    return Linear(column=column, level=None, fill=0.0, signed_log=False, slope=0.5, shift=0.1, **bounds)


def steps(column: str, levels: tuple[str, ...] | None, missing: float | None) -> Steps:
    return Steps(column=column, edges=(), levels=levels, values=(0.7,), missing=missing)


def formula(*terms: Linear | Steps, calibration: Calibration | None = None) -> Formula:
    texts = tuple(term.column for term in terms if isinstance(term, Steps) and term.levels is not None)
    return Formula(
        job="train-1",
        closed=True,
        note="",
        numbers=tuple(term.column for term in terms if term.column not in texts),
        texts=texts,
        centre=0.2,
        terms=terms,
        calibration=calibration or Calibration(method="platt", slope=1.0, intercept=-0.5),
        factor=20.0,
        offset=600.0,
        rate=-20.0,
        base=610.0,
        grades=(),
        cutoff="probability",
        approve=0.1,
        decline=0.3,
    )


NAMED = ("u", "c0", "c1", "score", "probability", "log_odds", "joint_u", "points_x", "x_", "u_", "x")
ONCE = Calibration(method="isotonic", slope=0.0, intercept=-1.0, knots=(0.3,), levels=(0.2,))
# A formula, a row of it, and u and the log-odds of that, by hand.
CASES: dict[str, tuple[Formula, dict[str, Any], float, float]] = {
    **{name: (formula(linear(name), linear("y")), {name: 1.0, "y": 2.0}, 2.3, 1.8) for name in NAMED},
    "all of them": (formula(*map(linear, NAMED)), {name: float(k) for k, name in enumerate(NAMED)}, 21.7, 21.2),
    "one score": (formula(linear("x"), calibration=ONCE), {"x": 1.0}, 1.2, math.log(0.25)),
    "one bin": (formula(steps("x", None, -0.3)), {"x": 1.0}, 1.3, 0.8),
    "one bin, missing": (formula(steps("x", None, -0.3)), {"x": None}, 0.3, -0.2),
    "one level": (formula(steps("x", (), -0.3)), {"x": "mill"}, 1.3, 0.8),
}


@pytest.mark.parametrize("odd", ["'NaN'::DOUBLE", "'Infinity'::DOUBLE", "-'Infinity'::DOUBLE", "NULL"])
@pytest.mark.parametrize("missing", [-0.3, None])
def test_what_is_no_number_is_missing_to_a_query_too(odd: str, missing: float | None) -> None:
    """NaN was above every edge: a row of which nothing is known had the points of the largest values."""
    edges = Steps(column="x", edges=(0.0, 10.0), levels=None, values=(0.1, 0.2, 0.7), missing=missing)
    logged = linear("y").model_copy(update={"fill": None if missing is None else 3.0, "signed_log": True})
    query = as_sql(formula(edges, logged), "t").rstrip().rstrip(";")
    rows = [(odd, odd, GRID), (10, 3, GRID), (1, 1, odd)]
    table = " UNION ALL ".join(f"SELECT {x} AS x, {y} AS y, {grid} AS grid_part" for x, y, grid in rows)
    with duckdb.connect() as book:
        book.execute(f"CREATE TABLE t AS {table}")
        found = sorted(book.execute(f"SELECT ws_u FROM ({query})").fetchall(), key=lambda row: (row[0] is not None, row[0]))
    part = 0.2 + 0.5 * math.log(4.0) + 0.1 + GRID
    first = None if missing is None else pytest.approx(part + missing)
    assert found == [(None,), (first,), (pytest.approx(part + 0.7),)]  # without the grid's part there is no score


def check(case: str, found: dict[str, Any]) -> None:
    """Whatever the outputs are called, their values are these."""
    made, row, u, log_odds = CASES[case]
    told = {name: value for name, value in found.items() if name not in row and value is not None}

    def of(name: str) -> float:
        return float(next(told[longer] for longer in (name, f"{name}_", f"{name}__") if longer in told))

    assert (of("joint_u"), of("log_odds")) == (pytest.approx(u), pytest.approx(log_odds)), case
    assert (of("probability"), of("score")) == (pytest.approx(1 / (1 + math.exp(-log_odds))), round(600 - 20 * log_odds)), case
    points = sum(value for name, value in told.items() if name.startswith("points_"))
    assert points == pytest.approx(-20.0 * (u - made.centre - GRID)), case


def test_pmml4s_reads_a_column_that_is_named_as_a_result(evaluator: Any) -> None:
    for case, (made, row, *_) in CASES.items():
        values = {**row, GRID_PART: GRID}
        told = json.loads(
            evaluator.load(as_pmml(made).decode()).predict(json.dumps({"columns": list(values), "data": [[*values.values()]]}))
        )
        check(case, dict(zip(told["columns"], told["data"][0], strict=True)))


@pytest.mark.parametrize("given", [{}, {GRID_PART: None}, {GRID_PART: math.nan}])
def test_pmml4s_gives_no_score_without_the_grids_part(given: dict[str, Any], evaluator: Any) -> None:
    """It rounds what is missing to 0, which was the score of such a row."""
    found = evaluator.load(as_pmml(formula(linear("x"))).decode()).predict({"x": 1.0, **given})
    assert found["score"] is None and math.isnan(found["joint_u"])


def test_jpmml_reads_a_column_that_is_named_as_a_result(jpmml: Callable[[Path], Any], tmp_path: Path) -> None:
    for case, (made, row, *_) in CASES.items():
        (tmp_path / "scorecard.pmml").write_bytes(as_pmml(made))
        check(case, jpmml(tmp_path / "scorecard.pmml").evaluate({**row, GRID_PART: GRID}))


@pytest.mark.parametrize("column", ["grid_part", "Grid_Part", "ws_u", "WS_limit"])
def test_a_column_that_a_query_would_take_for_its_own_is_refused_by_name(column: str) -> None:
    rules = held_out(2000)[0].decision
    card = rules.scorecard.model_copy(update={"columns": ("income", column)})
    model = SimpleNamespace(fitted=SimpleNamespace(fitted=()))
    with pytest.raises(ConfigError, match=f"'{column}'.*under another name"):
        make_formula(model, rules.model_copy(update={"scorecard": card}), DecisionConfig())


@pytest.mark.parametrize("kind", [linear("x"), Steps(column="x", edges=(0.5,), levels=None, values=(0.2, 0.7), missing=0.1)])
def test_truth_values_are_ones_and_noughts_to_duckdb(kind: Linear | Steps) -> None:
    """And the words for them: a table of a Parquet file has them where a CSV has 1 and 0. Their rows had no score."""
    query = as_sql(formula(kind), "t").strip().rstrip(";")
    found = list[Any]()
    with duckdb.connect() as book:
        for values, type_ in (((1.0, 0.0, None), "DOUBLE"), ((True, False, None), "BOOLEAN"), (("TRUE", "false", " "), "TEXT")):
            book.execute(f"CREATE OR REPLACE TABLE t (x {type_}, grid_part DOUBLE)")
            book.executemany("INSERT INTO t VALUES (?, 0.4)", [(value,) for value in values])
            found.append(book.execute(f"SELECT ws_u FROM ({query}) AS s ORDER BY 1").fetchall())
    assert found[0] == found[1] == found[2] and len({u for (u,) in found[0]}) >= 2 and (None,) not in found[0]
