"""The exported scorecard, read by software that is not ours, gives the written score of every row of a scoring job."""

from __future__ import annotations

import asyncio
import csv
import json
import math
import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from bank_party.decision import bundle
from bank_party.decision.config import DecisionConfig
from common.disk.data_folder import Name
from common.home.registry import Registry
from common.party import Party
from common.plan.promote import PromotePlan
from common.rows.dataset import read_table
from tests.common.report.test_write import config
from tests.common.stages.companies import Companies, frames

ROWS = 1000
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "closed": ({}, {}),
    "opened, isotonic": ({"model": {"reveal": "owners"}}, {"calibration": "isotonic"}),
    "closed, in bins": ({"preparation": {"min_binary": 20, "coding": "woe"}}, {}),
}


class Exported:
    """A bank's scored rows, their raw columns with grid_part, and the folder of the export.

    rows: in the order of `written`; table: the same in another, with what tells them apart; scores: the scoring job's file.
    """

    def __init__(self, folder: Path, plan: dict[str, Any], decision: dict[str, Any]) -> None:
        companies = Companies(folder, monthly=True, decision=DecisionConfig(min_grade_rows=20, **decision))
        data = frames(5, monthly=True)
        bank, rng = data[Party.BANK], np.random.default_rng(2)
        bank["turnover"] = np.where(rng.random(len(bank)) < 0.1, np.nan, rng.lognormal(8, 2, len(bank)) - 500)
        bank["trade"] = rng.choice(np.array(["wood's", '"steel"', "纺织", None], object), len(bank), p=[0.4, 0.3, 0.2, 0.1])
        companies.columns[Party.BANK] = {
            "income": {"kind": "numeric"},
            "debt": {"kind": "numeric"},
            "turnover": {"kind": "numeric", "transform": "signed_log"},
            "trade": {"kind": "categorical"},
        }
        companies.write(data)
        asyncio.run(companies.run("train-1", companies.plan(**plan)))
        asyncio.run(companies.run("score-1", companies.plan(kind="score", model="train-1")))
        home = companies.home(Party.BANK)
        model = companies.models(Party.BANK).load("train-1")
        rules = bundle.load_decision("train-1", companies.models(Party.BANK).folder("train-1"))
        table = read_table(companies.dataset(Party.BANK), name="rows", party=Party.BANK, require_label=False).table
        own = np.column_stack([model.fitted.transform(table), np.ones(table.rows)]) @ rules.weights
        parts = pd.DataFrame({"firm": table.ids.tolist(), "period": table.periods, "own": own})
        parts["month"] = [f"{p // 12:04d}-{p % 12 + 1:02d}" for p in parts.pop("period")]
        self.scores = home / "scores" / "score-1.csv"
        written = pd.read_csv(self.scores).rename(columns={"id": "firm", "period": "month"})
        rows = bank.merge(parts, on=["firm", "month"]).merge(written, on=["firm", "month"]).head(ROWS)
        self.written = rows[["u", "own", "probability", "score", "grade", "decision"]].reset_index(drop=True)
        self.rows = (
            rows[["income", "debt", "turnover", "trade"]].assign(grid_part=rows["u"] - rows["own"]).reset_index(drop=True)
        )
        self.keys = rows[["firm", "month"]].reset_index(drop=True)
        self.table = pd.concat([self.keys, self.rows], axis=1).sample(frac=1.0, random_state=1).reset_index(drop=True)
        self.folder = folder / "scorecard"
        own_config = config(folder, Party.BANK, home)
        registry = Registry(home / Name.REGISTRY)
        registry.prepare("promote-1", PromotePlan(model="train-1"), "train-1", anew=False)
        registry.commit()
        self.words = ["export", "champion", "--config", str(own_config), "--out", str(self.folder), "--table", 'our "rows"']
        self.words += ["--keep", "firm", "--keep", "month", "--keep", "income"]
        self.said = CliRunner().invoke(bank_party, self.words, catch_exceptions=False).output

    def check(self, found: pd.DataFrame, *names: str) -> None:
        if "firm" in found:  # of a query, in whatever order
            found = self.keys.merge(found, on=["firm", "month"])
        assert len(found) == len(self.written) == ROWS
        assert (found["score"].astype(int) == self.written["score"]).sum() == ROWS
        np.testing.assert_allclose(found["u"], self.written["u"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(found["probability"], self.written["probability"], rtol=1e-7)
        for name in names:
            assert (found[name] == self.written[name]).all()


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.replace(", ", "-"))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("export"), *KINDS[request.param])


def results(columns: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).rename(columns=lambda name: name.removeprefix("ws_"))


def test_sqlite_gives_the_written_scores(exported: Exported) -> None:
    with sqlite3.connect(":memory:") as book:
        exported.table.to_sql('our "rows"', book, index=False)
        hundreds = count()
        book.set_progress_handler(lambda: next(hundreds) * 0, 100)
        cursor = book.execute((exported.folder / "scorecard.sqlite.sql").read_text(encoding="utf-8"))
        names = [column[0] for column in cursor.description]
        exported.check(results(names, cursor.fetchall()), "grade", "decision")
    assert next(hundreds) * 100 < 2000 * ROWS  # instructions: what is written in several places is computed once


@pytest.mark.parametrize("reader", ["SQLite", "DuckDB"])
def test_a_csv_imported_as_text_gives_the_written_scores(exported: Exported, reader: str) -> None:
    """The shell of SQLite imports all columns as text, and an empty cell as an empty one: it was a 0, the grid's part too."""
    file = "scorecard.sqlite.sql" if reader == "SQLite" else "scorecard.sql"
    query = (exported.folder / file).read_text(encoding="utf-8")
    scores = f"SELECT DISTINCT ws_score FROM ({query.strip().rstrip(';')}) AS s"
    cells = exported.table.astype(object).where(exported.table.notna(), "")
    numbers = [name for name in cells if name not in ("firm", "month", "trade")]
    cells[numbers] = cells[numbers].map(lambda value: value if value == "" else repr(float(value)))
    table = '"our ""rows"""'
    with sqlite3.connect(":memory:") as book, duckdb.connect() as other:
        held: Any = book if reader == "SQLite" else other
        held.execute(f"CREATE TABLE {table} ({', '.join(f'{name} TEXT' for name in cells)})")
        held.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)", cells.to_numpy().tolist())
        cursor = held.execute(query)
        exported.check(results([column[0] for column in cursor.description], cursor.fetchall()), "grade", "decision")
        for empty in ("", "nan", "-inf"):
            held.execute(f"UPDATE {table} SET grid_part = ?", (empty,))
            assert held.execute(scores).fetchall() == [(None,)]
        for word in ("1,234.5", "-", "12%", "oops", "2024-01-05", "1.2.3", "1 2", "12e", "e5"):
            held.execute(f"UPDATE {table} SET grid_part = '0.5', income = ?", (word,))
            if reader == "SQLite":
                assert held.execute(scores).fetchall() == [(None,)]
            else:
                with pytest.raises(duckdb.Error):
                    held.execute(scores).fetchall()


@pytest.mark.parametrize("text", [False, True])
def test_postgresql_gives_the_written_scores(exported: Exported, postgres: str, text: bool) -> None:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        rows = exported.table
        if text:
            rows = rows.map(lambda value: "" if pd.isna(value) else value if isinstance(value, str) else repr(float(value)))
        rows.to_sql('our "rows"', connection, index=False, if_exists="replace")
        found = connection.exec_driver_sql((exported.folder / "scorecard.sql").read_text(encoding="utf-8"))
        told = results(list(found.keys()), [tuple(row) for row in found])
    engine.dispose()
    exported.check(told, "grade", "decision")


def test_duckdb_gives_the_written_scores_and_points_add_up(exported: Exported) -> None:
    told = json.loads((exported.folder / "scorecard.json").read_text())
    with duckdb.connect() as book:
        book.register("given", exported.table)
        book.execute('CREATE TABLE "our ""rows""" AS SELECT * FROM given')
        found = book.execute((exported.folder / "scorecard.sql").read_text(encoding="utf-8")).df()
    found = found.rename(columns=lambda name: name.removeprefix("ws_"))
    exported.check(found, "grade", "decision")
    own = exported.keys.merge(found, on=["firm", "month"])["own_part"]
    np.testing.assert_allclose(own, exported.written["own"], atol=1e-9)
    points = told["base"] + found[[f"points_{name}" for name in ("income", "debt", "turnover", "trade")]].sum(axis=1)
    points += told["rate"] * found["grid_part"]
    if told["calibration"]["method"] == "platt":
        np.testing.assert_allclose(points, told["offset"] - told["factor"] * found["log_odds"], atol=1e-8)


def test_the_grids_part_is_made_of_the_file_of_scores_by_the_query_itself(exported: Exported) -> None:
    """As the bank's page has it: own parts by id, then u less these. Without ids nobody could say whose own part was whose."""
    query = (exported.folder / "scorecard.sql").read_text(encoding="utf-8").strip().rstrip(";")
    with duckdb.connect() as book:
        book.register("given", exported.table.drop(columns="grid_part"))
        book.execute('CREATE TABLE "our ""rows""" AS SELECT *, NULL AS grid_part FROM given')
        book.execute(f"CREATE TABLE own AS {query}")
        book.execute(
            'CREATE OR REPLACE TABLE "our ""rows""" AS SELECT g.*, s.u - o.ws_own_part AS grid_part FROM given g'
            " JOIN own o USING (firm, month) JOIN read_csv(?, types = {'id': 'VARCHAR', 'period': 'VARCHAR'}) s"
            " ON s.id = g.firm AND s.period = g.month",
            [str(exported.scores)],
        )
        found = book.execute(query).df()
    exported.check(found.rename(columns=lambda name: name.removeprefix("ws_")))


def test_a_column_to_keep_may_not_have_the_name_of_a_result(exported: Exported) -> None:
    told = CliRunner().invoke(bank_party, [*exported.words, "--keep", "WS_score"])
    assert told.exit_code and "'WS_score'" in told.output


def test_a_pmml_evaluator_gives_the_written_scores(exported: Exported, evaluator: Any) -> None:
    model = evaluator.load((exported.folder / "scorecard.pmml").read_text(encoding="utf-8"))
    # As JSON of all digits: a frame would go by one of ten, and a value that is the edge of a bin to its neighbour.
    rows = exported.rows.astype(object).where(exported.rows.notna(), None)
    told = json.loads(model.predict(json.dumps({"columns": list(rows), "data": rows.to_numpy().tolist()})))
    found = pd.DataFrame(told["data"], columns=told["columns"])
    exported.check(found.rename(columns={"joint_u": "u"}))


def test_another_pmml_evaluator_gives_the_written_scores(exported: Exported, jpmml: Callable[[Path], Any]) -> None:
    """Where JPMML reads a missing number as text, say, rows have no score there alone."""
    model = jpmml(exported.folder / "scorecard.pmml")
    found = model.evaluateAll(exported.rows.astype(object).where(exported.rows.notna(), None))
    exported.check(found.drop(columns="u").rename(columns={"joint_u": "u"}).reset_index(drop=True))  # the target, as it says


def test_the_terms_as_csv_are_enough_to_compute_u(exported: Exported) -> None:
    """By the text of `formula.Linear` and `formula.Steps` alone."""
    with (exported.folder / "terms.csv").open(encoding="utf-8", newline="") as stream:
        terms = list(csv.DictReader(stream))
    for at, row in exported.rows.head(200).iterrows():
        u = sum(contribution(term, row.to_dict()) for term in terms)
        assert u == pytest.approx(exported.written["u"][at], abs=1e-9)


def contribution(term: dict[str, str], row: dict[str, Any]) -> float:
    if term["kind"] == "constant":
        return float(term["shift"])
    x = row[term["column"]]
    gone = x is None or (isinstance(x, float) and math.isnan(x))
    if term["kind"] == "steps":
        values = [float(v) for v in term["values"].split("|")]
        if gone:
            return float(term["missing"])
        if term["levels"]:
            levels = term["levels"].split("|")
            return values[levels.index(x) if x in levels else len(levels)]
        return values[sum(x >= float(edge) for edge in term["edges"].split("|") if edge)]
    if term["level"]:
        s = float((term["fill"] if gone else x) == term["level"])
    else:
        s = float(term["fill"]) if gone else float(x)
        s = math.copysign(math.log1p(abs(s)), s) if term["signed_log"] == "True" else s
    if not term["mean"]:
        return float(term["slope"]) * s + float(term["shift"])
    s = (s - float(term["mean"])) / float(term["deviation"])
    return float(term["slope"]) * min(max(s, float(term["low"])), float(term["high"])) + float(term["shift"])


def test_what_the_bank_does_not_know_is_said_and_not_made_up(exported: Exported) -> None:
    told = json.loads((exported.folder / "scorecard.json").read_text())
    assert ("Nobody holds this model" in exported.said) is told["closed"]
    assert "Without it there is no score" in exported.said
    without = exported.table.assign(grid_part=np.nan)
    with sqlite3.connect(":memory:") as book:
        without.to_sql('our "rows"', book, index=False)
        found = pd.read_sql((exported.folder / "scorecard.sqlite.sql").read_text(encoding="utf-8"), book)
    assert found["ws_score"].isna().all() and found["ws_decision"].isna().all() and found["ws_own_part"].notna().all()
    assert {file.stat().st_mode & 0o777 for file in exported.folder.iterdir()} == {0o600}
