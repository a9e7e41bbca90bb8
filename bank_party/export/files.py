"""`export`: a model's scorecard as JSON, CSV, SQL and PMML in one folder."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bank_party.decision import bundle
from bank_party.decision.config import DecisionConfig
from bank_party.decision.scorecard import BASE, GRID, Scorecard
from bank_party.export.formula import Formula, check_names, make_formula
from bank_party.export.pmml import as_pmml
from bank_party.export.sql import as_sql
from common.disk.data_folder import Name
from common.disk.files import make_folder, write_private
from common.errors import ConfigError
from common.home.models import ModelStore
from common.text.visible import inert

_TERMS = (
    "column", "kind", "level", "fill", "signed_log", "mean", "deviation", "low", "high", "slope", "shift", "edges", "levels",
    "values", "missing",
)  # fmt: skip
_TEXTS = ("column", "level", "levels")  # may begin as a formula does; other cells are numbers


def export(data: Path, job: str, config: DecisionConfig, out: Path, table: str, keep: Sequence[str] = ()) -> Formula:
    """Writes scorecard.json, .sql, .sqlite.sql and .pmml, terms.csv and points.csv into `out`, mode 0600.

    data: the bank's folder; table, keep: as `sql.as_sql` has them. Raises JobNotFound and DataError as loading the model does,
    ConfigError if `out` cannot be written or a column of `keep` has a name of what the query makes.
    """
    store = ModelStore(data / Name.MODELS)
    rules = bundle.load_decision(job, store.folder(job))
    formula = make_formula(store.load(job), rules, config)
    check_names(keep, "Give the table's column another name, by a view.")
    files = {
        "scorecard.json": formula.model_dump_json(indent=1).encode(),
        "terms.csv": _terms(formula),
        "points.csv": _points(rules.scorecard),
        "scorecard.sql": as_sql(formula, table, keep=keep).encode(),
        "scorecard.sqlite.sql": as_sql(formula, table, keep=keep, sqlite=True).encode(),
        "scorecard.pmml": as_pmml(formula),
    }
    try:
        make_folder(out)
        for name, content in files.items():
            write_private(out / name, content)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror})", remedy="Name a folder of yours.") from None
    return formula


def _terms(formula: Formula) -> bytes:
    """Each term of u in log-odds, a line each, lists joined by "|"; first the intercept, last the grid's part."""
    lines = [{"column": "(intercept)", "kind": "constant", "shift": repr(formula.centre)}]
    for term in formula.terms:
        told = term.model_dump()
        lines.append({name: _cell(told[name]) for name in _TERMS if name in told})
    lines.append({"column": "grid_part", "kind": "linear", "slope": "1.0", "shift": "0.0"})
    return _csv(_TERMS, [[(inert if name in _TEXTS else str)(line.get(name, "")) for name in _TERMS] for line in lines])


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return "|".join(map(_cell, value))
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _points(card: Scorecard) -> bytes:
    """Points of bins, categories and representative values, for people: of linear columns values between have others."""
    lines = [[BASE, "", repr(card.base)], *([inert(a.column), inert(a.label), repr(a.points)] for a in card.attributes)]
    told = _csv(("column", "value", "points"), [*lines, [GRID, "for each unit of grid_part", repr(card.rate)]])
    return told if told.isascii() else codecs.BOM_UTF8 + told  # without the mark, Excel shows other scripts wrong


def _csv(head: tuple[str, ...], lines: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([list(head), *lines])
    return out.getvalue().encode()
