"""The formulas as one SQL query of CASE and arithmetic: runs in DuckDB and PostgreSQL (12), another in SQLite (3.35)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from bank_party.export.formula import GRID_PART, OWN, Formula, Linear, Steps
from common.rows.text import MISSING

_MOST = 1.7e308  # of a number's size
_BLANKS = " \t\r\n\u00a0\u3000\u200b\ufeff"  # around a text
_NO_NUMBER = tuple(sign + word for word in ("nan", "inf", "infinity") for sign in ("", "-", "+"))


def as_sql(formula: Formula, table: str, *, keep: Sequence[str] = (), sqlite: bool = False) -> str:
    """The query; `table`, NAME or SCHEMA.NAME, holds the columns of the formula under their names, and grid_part.

    keep: other columns of it, to tell rows apart. sqlite: for SQLite alone.

    Gives the columns of `keep`, those of the formula and ws_points_COLUMN, ws_own_part, ws_u, ws_log_odds, ws_probability,
    ws_score, ws_grade, ws_decision. Columns are read as a file's are, whatever their type: texts without blanks around them,
    the words of `text.MISSING`, NaN and infinite numbers as missing, a REAL as the number that it prints, truth values as 1 and
    0. To that end numbers go by their text, of which SQLite keeps 15 digits. A missing value where there must be none makes the
    row's results NULL. A text that is no number ends the query in DuckDB and PostgreSQL; in SQLite, which would take what it
    begins with (of a date the year), or 0, the row's results are NULL.

    MATERIALIZED has a value that several expressions need computed once: else SQLite and PostgreSQL put its text in place of
    its name at each, step in step, of an isotonic calibration 168,000 instructions of SQLite a row.
    """
    keep = [column for column in dict.fromkeys(keep) if column not in (*formula.columns, GRID_PART)]
    kept, given = [[f"t.{name(column)}" for column in some] for some in (keep, (*formula.columns, GRID_PART))]
    place = {column: k for k, column in enumerate((*formula.columns, GRID_PART))}
    numeric = dict.fromkeys([*(place[term.column] for term in formula.terms if _is_numeric(term)), place[GRID_PART]])
    texts = [f"{_given(column, sqlite)} AS {OWN}t{k}" for k, column in enumerate(given)]
    columns = {k: column for column, k in place.items()}
    numbers = [f"{_finite(_double(f'{OWN}t{k}', columns[k], sqlite))} AS {OWN}n{k}" for k in numeric]
    raw = [f"{_raw(term, place[term.column])} AS {OWN}x{k}" for k, term in enumerate(formula.terms)]
    parts = [f"{_part(term, f'{OWN}x{k}')} AS {OWN}c{k}" for k, term in enumerate(formula.terms)]
    own = " + ".join([number(formula.centre), *(f"{OWN}c{k}" for k in range(len(formula.terms)))])
    wrong = " OR ".join(_is_no_number(f"{OWN}t{k}") for k in numeric)
    lines = [
        f"-- {formula.job}. {formula.note}",
        f"-- For {'SQLite' if sqlite else 'DuckDB and PostgreSQL'} alone.",
        "WITH ws_texts AS MATERIALIZED (",
        _select([*kept, *given, *texts], f"{'.'.join(map(name, table.split('.')))} AS t"),
        "), ws_numbers AS MATERIALIZED (",
        _select(["t.*", *numbers], "ws_texts AS t"),
        "), ws_raw AS MATERIALIZED (",
        _select(["t.*", *raw], "ws_numbers AS t"),
        "), ws_parts AS (",
        _select(["r.*", *parts], "ws_raw AS r"),
        "), ws_sums AS MATERIALIZED (",
        _select(["p.*", f"CASE WHEN {wrong} THEN NULL ELSE {own} END AS ws_own_part"], "ws_parts AS p"),
        "), ws_joint AS MATERIALIZED (",
        _select(["s.*", f"ws_own_part + {OWN}n{place[GRID_PART]} AS ws_u"], "ws_sums AS s"),
        "), ws_calibrated AS MATERIALIZED (",
        _select(["j.*", f"{_log_odds(formula)} AS ws_log_odds"], "ws_joint AS j"),
        "), ws_scored AS MATERIALIZED (",
        _select(
            ["c.*", "1.0e0 / (1.0e0 + EXP(-ws_log_odds)) AS ws_probability", f"{_score(formula)} AS ws_score"],
            "ws_calibrated AS c",
        ),
        ")",
        _select([*kept, *given, *_results(formula)], "ws_scored AS t"),
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


def _given(x: str, sqlite: bool) -> str:
    """A column as trimmed text, NULL where it says nothing; in the one query by what SQLite refuses, and so the whole of it."""
    trimmed = f"TRIM({f'CAST({x} AS VARCHAR)' if sqlite else f'{x}::VARCHAR'}, {text(_BLANKS)})"
    return f"CASE WHEN LOWER({trimmed}) IN ({', '.join(map(text, MISSING))}) THEN NULL ELSE {trimmed} END"


def _raw(term: Linear | Steps, k: int) -> str:
    """A linear term's value before it is clamped; of steps the contribution itself. k: the column's place."""
    x = f"{OWN}n{k}" if _is_numeric(term) else f"{OWN}t{k}"
    if isinstance(term, Steps):
        return _steps(term, x)
    if term.level is not None:
        missing = "NULL" if term.fill is None else number(float(str(term.fill) == term.level))
        s = f"CASE WHEN {x} IS NULL THEN {missing} WHEN {_is_level(term.column, x, term.level)} THEN 1.0e0 ELSE 0.0e0 END"
    else:
        s = x if term.fill is None else f"COALESCE({x}, {number(float(term.fill))})"
        s = f"CASE WHEN {s} < 0 THEN -LN(1.0e0 - {s}) ELSE LN(1.0e0 + {s}) END" if term.signed_log else s
    return f"({s} - {number(term.mean)}) / {number(term.deviation)}"


def _is_numeric(term: Linear | Steps) -> bool:
    return term.levels is None if isinstance(term, Steps) else term.level is None


def _is_level(column: str, x: str, level: str) -> str:
    """Whether it is this text; codes may stand in a column of numbers, whose text may be 1.0."""
    code = level.isascii() and level.removeprefix("-").isdigit()
    return f"({x} = {text(level)} OR t.{name(column)} = {text(level)})" if code else f"{x} = {text(level)}"


def _double(x: str, column: str, sqlite: bool) -> str:
    """The number that a text is, or a word for a truth value; SQLite takes it of the column itself, unless that is text."""
    own = f"t.{name(column)}"
    given = f"CASE WHEN TYPEOF({own}) = 'text' THEN {x} ELSE {own} END" if sqlite else x
    words = {"true": number(1.0), "false": number(0.0), **dict.fromkeys(_NO_NUMBER, "NULL")}
    cases = " ".join(f"WHEN {text(word)} THEN {value}" for word, value in words.items())
    return f"CASE LOWER({x}) {cases} ELSE CAST({given} AS DOUBLE PRECISION) END"


def _finite(x: str) -> str:
    return f"CASE WHEN {x} BETWEEN {number(-_MOST)} AND {number(_MOST)} THEN {x} END"


def _is_no_number(x: str) -> str:
    """Whether it is a text that no number is written as, of which SQLite takes the beginning; never of NULL and of numbers.

    Beyond digits, a sign first, a point and an exponent: a date is a year to SQLite, 1.2.3 is 1.2. No `%` for drivers to fill.
    """
    low = f"LOWER({x})"
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
    words = ", ".join(map(text, ("true", "false", *_NO_NUMBER)))
    return f"({x} IS NOT NULL AND {low} NOT IN ({words}) AND ({' OR '.join(shape)}))"


def _steps(term: Steps, x: str) -> str:
    missing = "NULL" if term.missing is None else number(term.missing)
    cases = [f"WHEN {x} IS NULL THEN {missing}"]
    if term.levels is None:
        cases += [f"WHEN {x} < {number(edge)} THEN {number(v)}" for edge, v in zip(term.edges, term.values, strict=False)]
    else:
        levels = zip(term.levels, term.values, strict=False)
        cases += [f"WHEN {_is_level(term.column, x, level)} THEN {number(v)}" for level, v in levels]
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
    """What is left of all that was made."""
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
