"""The formulas as one SQL query of CASE and arithmetic: runs in SQLite (3.35 or newer), DuckDB and PostgreSQL (12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bank_party.export.formula import GRID_PART, OWN, Formula, Linear, Steps

_MOST = 1.7e308  # of a number's size


def as_sql(formula: Formula, table: str) -> str:
    """The query; `table` holds the columns of the formula under their names, and grid_part.

    Gives all of the table's columns and ws_points_COLUMN, ws_own_part, ws_u, ws_log_odds, ws_probability, ws_score, ws_grade,
    ws_decision. A missing value where there must be none makes the row's results NULL. NaN and infinite numbers are missing, as
    they are in a file: DuckDB and PostgreSQL take NaN for more than any number. So are empty texts: SQLite has such for the
    empty cells of a CSV, and takes NaN as text for 0. Truth values and the words true and false are 1 and 0. A text that is no
    number ends the query in DuckDB and PostgreSQL; in SQLite, which would take what it begins with (of a date the year), or 0,
    the row's results are NULL.

    MATERIALIZED has a value that several expressions need computed once: else SQLite and PostgreSQL put its text in place of
    its name at each, step in step, of an isotonic calibration 168,000 instructions of SQLite a row.
    """
    raw = [f"{_raw(term)} AS {OWN}x{k}" for k, term in enumerate(formula.terms)]
    parts = [f"{_part(term, f'{OWN}x{k}')} AS {OWN}c{k}" for k, term in enumerate(formula.terms)]
    own = " + ".join([number(formula.centre), *(f"{OWN}c{k}" for k in range(len(formula.terms)))])
    numeric = dict.fromkeys(name(term.column) for term in formula.terms if _is_numeric(term))
    wrong = " OR ".join(_is_no_number(f"p.{x}") for x in [*numeric, name(GRID_PART)])
    lines = [
        f"-- {formula.job}. {formula.note}",
        "WITH ws_raw AS MATERIALIZED (",
        _select(["t.*", *raw], f"{name(table)} AS t"),
        "), ws_parts AS (",
        _select(["r.*", *parts], "ws_raw AS r"),
        "), ws_sums AS MATERIALIZED (",
        _select(["p.*", f"CASE WHEN {wrong} THEN NULL ELSE {own} END AS ws_own_part"], "ws_parts AS p"),
        "), ws_joint AS MATERIALIZED (",
        _select(["s.*", f"ws_own_part + {_double_or_null(name(GRID_PART))} AS ws_u"], "ws_sums AS s"),
        "), ws_calibrated AS MATERIALIZED (",
        _select(["j.*", f"{_log_odds(formula)} AS ws_log_odds"], "ws_joint AS j"),
        "), ws_scored AS MATERIALIZED (",
        _select(
            ["c.*", "1.0e0 / (1.0e0 + EXP(-ws_log_odds)) AS ws_probability", f"{_score(formula)} AS ws_score"],
            "ws_calibrated AS c",
        ),
        ")",
        _select([*_results(formula)], "ws_scored AS t"),
    ]
    return "\n".join(lines) + ";\n"


def name(text: str) -> str:
    """A quoted identifier."""
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A quoted string."""
    return "'" + value.replace("'", "''") + "'"


def number(value: float) -> str:
    """A double, never a decimal: with all its digits and an exponent."""
    written = f"{value:.17e}"
    return f"({written})" if value < 0 else written


def _select(columns: list[str], source: str) -> str:
    return "  SELECT\n    " + ",\n    ".join(columns) + f"\n  FROM {source}"


def _raw(term: Linear | Steps) -> str:
    """A linear term's value before it is clamped; of steps the contribution itself."""
    x = f"t.{name(term.column)}"
    if isinstance(term, Steps):
        return _steps(term, x)
    if term.level is not None:
        fill = "NULL" if term.fill is None else text(str(term.fill))
        there = f"CASE WHEN {_is_missing(x)} THEN {fill} ELSE {x} END"
        s = f"CASE WHEN {there} IS NULL THEN NULL WHEN {there} = {text(term.level)} THEN 1.0e0 ELSE 0.0e0 END"
    else:
        s = _double_or_null(x)
        s = s if term.fill is None else f"COALESCE({s}, {number(float(term.fill))})"
        s = f"CASE WHEN {s} < 0 THEN -LN(1.0e0 - {s}) ELSE LN(1.0e0 + {s}) END" if term.signed_log else s
    return f"({s} - {number(term.mean)}) / {number(term.deviation)}"


def _is_numeric(term: Linear | Steps) -> bool:
    return term.levels is None if isinstance(term, Steps) else term.level is None


def _text(x: str) -> str:
    return f"CAST({x} AS VARCHAR)"


def _is_missing(x: str) -> str:
    return f"{x} IS NULL OR TRIM({_text(x)}) = ''"


def _is_no_number(x: str) -> str:
    """Whether it is a text that no number is written as, of which SQLite takes the beginning; never of NULL and of numbers.

    Beyond digits, a sign first, a point and an exponent: a date is a year to SQLite, 1.2.3 is 1.2. No `%` for drivers to fill.
    """
    low = f"LOWER(TRIM({_text(x)}))"
    bare = f"REPLACE(REPLACE({low}, 'e-', 'e'), 'e+', 'e')"
    left, rest, mantissa = f"TRIM({low}, '0123456789+-.e')", f"SUBSTR({bare}, 2)", f"LTRIM({bare}, '+-.')"
    shape = [
        f"{left} <> ''",
        f"TRIM({low}, '+-.e') = ''",
        *(f"REPLACE({rest}, '{sign}', '') <> {rest}" for sign in "+-"),
        *(f"LENGTH({bare}) - LENGTH(REPLACE({bare}, '{mark}', '')) > 1" for mark in ".e"),
        f"LTRIM({mantissa}, 'e') <> {mantissa}",
        f"RTRIM({bare}, 'e') <> {bare}",
    ]
    return f"({_has_no_number(x)} = 0 AND {low} NOT IN ('true', 'false') AND ({' OR '.join(shape)}))"


def _has_no_number(x: str) -> str:
    """1 for an empty text, and NaN and infinite ones as texts or numbers, which SQLite takes for 0; else 0."""
    words = ", ".join(text(sign + word) for word in ("nan", "inf", "infinity") for sign in ("", "-", "+"))
    return f"CASE WHEN LOWER(TRIM({_text(x)})) IN ('', {words}) THEN 1 WHEN {x} IS NOT NULL THEN 0 END"


def _double(x: str) -> str:
    """Of truth values too, and of the words for them."""
    return f"CASE LOWER(TRIM({_text(x)})) WHEN 'true' THEN 1.0e0 WHEN 'false' THEN 0.0e0 ELSE CAST({x} AS DOUBLE PRECISION) END"


def _double_or_null(x: str) -> str:
    return f"CASE WHEN {_has_no_number(x)} = 1 THEN NULL WHEN {_is_number(x)} THEN {_double(x)} END"


def _is_number(x: str) -> str:
    """Whether it is one that is finite; of NULL NULL."""
    return f"{_double(x)} BETWEEN {number(-_MOST)} AND {number(_MOST)}"


def _steps(term: Steps, x: str) -> str:
    missing = "NULL" if term.missing is None else number(term.missing)
    cases = [f"WHEN {_is_missing(x)} THEN {missing}"]
    if term.levels is None:
        cases += [f"WHEN {found} THEN {missing}" for found in (f"{_has_no_number(x)} = 1", f"NOT ({_is_number(x)})")]
        cases += [
            f"WHEN {_double(x)} < {number(edge)} THEN {number(v)}" for edge, v in zip(term.edges, term.values, strict=False)
        ]
    else:
        cases += [f"WHEN {x} = {text(level)} THEN {number(v)}" for level, v in zip(term.levels, term.values, strict=False)]
    return f"CASE {' '.join(cases)} ELSE {number(term.values[-1])} END"


def _part(term: Linear | Steps, x: str) -> str:
    """A term's contribution in log-odds."""
    if isinstance(term, Steps):
        return x
    low, high = number(term.low), number(term.high)
    clamped = f"CASE WHEN {x} < {low} THEN {low} WHEN {x} > {high} THEN {high} ELSE {x} END"
    return f"{number(term.slope)} * ({clamped}) + {number(term.shift)}"


def _log_odds(formula: Formula) -> str:
    c = formula.calibration
    if c.method != "isotonic":
        return f"{number(c.slope)} * ws_u + {number(c.intercept)}"
    points = list(zip(c.knots, c.levels, strict=True))
    cases = [f"WHEN ws_u <= {number(c.knots[0])} THEN {_logit(number(c.levels[0]))}"]
    for (a, p), (b, q) in pairwise(points):
        line = f"({number(p)} + (ws_u - {number(a)}) * {number((q - p) / (b - a))})"
        cases.append(f"WHEN ws_u < {number(b)} THEN {_logit(line)}")
    cases.append(f"WHEN ws_u >= {number(c.knots[-1])} THEN {_logit(number(c.levels[-1]))}")
    return f"CASE {' '.join(cases)} END"


def _logit(p: str) -> str:
    return f"LN({p} / (1.0e0 - {p}))"


def _score(formula: Formula) -> str:
    return f"CAST(ROUND({number(formula.offset)} - {number(formula.factor)} * ws_log_odds) AS INTEGER)"


def _results(formula: Formula) -> Iterator[str]:
    """What is left of all that was made: the table's columns, then the results."""
    yield from (name(column) for column in (*formula.columns, GRID_PART))
    for column in formula.columns:
        of = [f"ws_c{k}" for k, term in enumerate(formula.terms) if term.column == column]
        yield f"{number(formula.rate)} * ({' + '.join(of)}) AS {name(f'ws_points_{column}')}"
    yield "ws_own_part"
    yield "ws_u"
    yield "ws_log_odds"
    yield "ws_probability"
    yield "ws_score"
    grades = " ".join(f"WHEN ws_score >= {low} THEN {k}" for k, low in enumerate(formula.grades, 1))
    yield f"CASE WHEN ws_score IS NULL THEN NULL {grades} ELSE {len(formula.grades) + 1} END AS ws_grade"
    approve, decline = number(formula.approve), number(formula.decline)
    if formula.cutoff == "probability":
        cases = f"WHEN ws_probability <= {approve} THEN 'approve' WHEN ws_probability > {decline} THEN 'decline'"
    else:
        cases = f"WHEN ws_score >= {approve} THEN 'approve' WHEN ws_score < {decline} THEN 'decline'"
    yield f"CASE WHEN ws_score IS NULL THEN NULL {cases} ELSE 'refer' END AS ws_decision"
