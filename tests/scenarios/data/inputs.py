"""Inputs that go wrong, one a line: how the grid's file is spoilt, how it is declared, and what each command makes of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MONTHS, FIRMS = [f"2023-{k + 1:02d}" for k in range(4)], 400
SHANGHAI = {"zone": "Asia/Shanghai"}

Write = Callable[[pd.DataFrame, Path], None]


def base(prefix: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """400 enterprises of four months: the grid's arrears and the bank's loans tell of a month's label; ids of eight digits."""
    rows = FIRMS * len(MONTHS)
    r = np.random.default_rng([1, int(prefix)])
    keys = {"id": np.repeat([f"{prefix}{k:06d}" for k in range(FIRMS)], len(MONTHS)), "month": MONTHS * FIRMS}
    arrears, tax, loan = r.poisson(0.6, rows), r.lognormal(9, 1, rows), r.lognormal(12, 0.7, rows)
    z = 0.7 * arrears - 0.4 * (np.log(tax) - 9) + 0.5 * (np.log(loan) - 12) + r.normal(0, 0.5, rows)
    grid = pd.DataFrame({**keys, "consumption": r.lognormal(8, 1, rows).round(2), "arrears": arrears})
    grid["days_late"], grid["peak"] = r.integers(0, 60, rows), r.lognormal(3, 1, rows).round(2)
    bank = pd.DataFrame({**keys, "tax": tax.round(2), "loan": loan.round(2), "overdue": (z > np.quantile(z, 0.8)).astype(int)})
    return grid, bank


@dataclass(frozen=True)
class Case:
    """keys: of the dataset.  schema, features, job: the words with which each refuses; None where it reads on, and then `kwh`
    are the first enterprise's of four months.  told: what the grid's owner hears of the job.
    """

    number: int
    name: str
    write: Write
    keys: Mapping[str, Any] = field(default_factory=dict)
    schema: str | None = None
    features: str | None = None
    job: str | None = None
    told: str = ""
    records: Mapping[str, Any] = field(default_factory=dict)  # of the features' configuration, besides
    kwh: Callable[[pd.DataFrame], Any] = lambda clean: clean.consumption[:4]

    @property
    def runs(self) -> bool:
        """Whether a job says more of it than the commands: what is refused, said, or read by types alone."""
        return bool(self.job or self.told or self.number in (1, 16, 23, 24))

    @property
    def key(self) -> str:
        return f"{self.number:02d}-{self.name}"


def refusing(number: int, name: str, write: Write, said: str, public: str, **keys: Any) -> Case:
    """A case that every command refuses with the same words; the other party hears `public`."""
    return Case(number, name, write, keys, schema=said, features=said, job=public)


def csv(change: Callable[[pd.DataFrame], object], **how: Any) -> Write:
    """A CSV of the frame that `change` gives, or has changed in place."""

    def write(frame: pd.DataFrame, path: Path) -> None:
        given = change(frame)
        (given if isinstance(given, pd.DataFrame) else frame).to_csv(path, **{"index": False, **how})

    return write


def column(name: str, values: Callable[[pd.Series[Any]], Any], **how: Any) -> Write:
    return csv(lambda frame: frame.assign(**{name: values(frame[name])}), **how)


def text(change: Callable[[str], str], encode: Callable[[str], bytes] = str.encode) -> Write:
    """The text of the good CSV, changed."""
    return lambda frame, path: (path.write_bytes(encode(change(frame.to_csv(index=False)))), None)[1]


def parquet(change: Callable[[pd.DataFrame], pa.Table], **how: Any) -> Write:
    return lambda frame, path: pq.write_table(change(frame), path, **how)


def _table(frame: pd.DataFrame, **columns: Any) -> pa.Table:
    table = pa.Table.from_pandas(frame.drop(columns=list(columns)), preserve_index=False)
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def _instants(frame: pd.DataFrame) -> pa.Table:
    """Months as Spark writes local midnights of Shanghai."""
    at = (pd.to_datetime(frame.month + "-01") - pd.Timedelta(hours=8)).to_numpy("datetime64[ns]")
    return _table(frame, month=pa.array(at))


def _decimals(frame: pd.DataFrame) -> pa.Table:
    return _table(frame, consumption=pa.array([Decimal(f"{x:.2f}") for x in frame.consumption], pa.decimal128(12, 2)))


def _halves(frame: pd.DataFrame, path: Path) -> None:
    """Arrears as BOOLEAN in the first file, INT64 in the next; a folder."""
    path.mkdir()
    for k, of in enumerate((frame.month < "2023-03", frame.month >= "2023-03")):
        part = frame[of].reset_index(drop=True)
        flag = (part.arrears > 0).to_numpy()
        table = _table(part, arrears=pa.array(flag if k == 0 else flag.astype(np.int64)))
        pq.write_table(table, path / f"part-{k}.parquet")


def _by_month(frame: pd.DataFrame, path: Path) -> None:
    for month, part in frame.groupby("month"):
        year, number = str(month).split("-")
        (where := path / f"year={year}" / f"month={int(number)}").mkdir(parents=True)
        part.drop(columns="month").to_csv(where / "part-0.csv", index=False)


def _stray_quote(good: str) -> str:
    lines = [f"{line},n{k % 3}" for k, line in enumerate(good.splitlines())]
    lines[0], lines[800] = lines[0].removesuffix(",n0") + ",name", lines[800].replace(",n", ',"n')
    return "\n".join(lines) + "\n"


def _two_meters(frame: pd.DataFrame) -> pd.DataFrame:
    more = frame.iloc[:4].assign(consumption=150.0)
    return pd.concat([frame, more])


def _shifted(good: str) -> str:
    return "electricity of 2023\n" + good


def _padded(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"Unnamed: 6": "", "Unnamed: 7": ""})


def _workbook(frame: pd.DataFrame, path: Path) -> None:
    frame.to_excel(made := path.with_suffix(".xlsx"), index=False)
    made.rename(path)


def _unused(frame: pd.DataFrame) -> pa.Table:
    return _table(frame).append_column("tags", pa.array([["a"]] * len(frame)))


def _first(id: str) -> Write:
    """One more row, the first, of this id."""
    return text(lambda good: good.replace("\n", f"\n{id},2023-01,1,0,0,1\n", 1))


def _days(months: pd.Series[Any]) -> Any:
    return (pd.to_datetime(months) - pd.Timestamp("1899-12-30")).dt.days


NO_ID = "a word that means there is no id"
WIDE = {k: k + 0xFEE0 for k in range(46, 58)}
NO_MONTH = "not a month"
SAID_TO_OTHERS = "column 'id': "
CASES = [
    refusing(1, "int96", parquet(_instants, use_deprecated_int96_timestamps=True), "in which zone", "holds instants"),
    Case(1, "int96-zone", parquet(_instants, use_deprecated_int96_timestamps=True), SHANGHAI),
    refusing(2, "stray-quote", text(_stray_quote), "line 801: a quote", "a quote opens a value and is never closed"),
    Case(3, "pandas-index", csv(lambda f: f.sort_values("arrears", ignore_index=True), index=True),
         told="has no name: left out"),
    Case(6, "thousands", column("consumption", lambda x: [f"{v:,.2f}" for v in x]), told="commas between thousands"),
    Case(6, "units", column("consumption", lambda x: [f"{v}kWh" for v in x]), told="the unit kwh"),
    Case(6, "full-width", column("consumption", lambda x: [f"{v:.2f}".translate(WIDE) for v in x])),
    Case(7, "two-meters", csv(_two_meters), schema="line 2 and line 1602 are both of id", features=None,
         job="more than one row for the same id and period (4 rows too many)", kwh=lambda clean: clean.consumption[:4] + 150,
         records={"fields": {"consumption": {"column": "consumption", "several": "sum"}}}),
    *(refusing(8, f"id-{k}", _first(word), NO_ID, SAID_TO_OTHERS + NO_ID) for k, word in enumerate(("NULL", "nan", "\\N"))),
    refusing(9, "scientific", _first("9.15301E+17"), "scientific notation",
             SAID_TO_OTHERS + "the id is a number in scientific notation"),
    Case(9, "floats", column("id", lambda x: x + ".0"), told="zeros behind a decimal point"),
    Case(9, "excel-text", column("id", lambda x: '="' + x + '"'), told="quotes that a spreadsheet put around ids"),
    Case(9, "decimals", parquet(lambda f: _table(f, id=pa.array([Decimal(v) for v in f.id], pa.decimal128(38, 10))))),
    Case(10, "zeros-lost", column("id", lambda x: [str(int(v) % 10**6) if int(v) % 5 == 1 else v for v in x]),
         told="unmatched ids have"),
    refusing(13, "excel-days", column("month", _days), NO_MONTH, NO_MONTH),
    Case(13, "excel-days-declared", column("month", _days),
         {"month_format": "excel"}),
    *(Case(13, f"month-{k}", column("month", lambda m, f=f: pd.to_datetime(m).dt.strftime(f)))
      for k, f in enumerate(("%Y/%m/%d", "%Y/%m", "%Y年%m月", "%Y%m.0", "%Y%m%d", "%b %Y", "%d%b%Y"))),
    Case(14, "gb18030", text(lambda t: t.replace("arrears", "欠费"), lambda t: t.encode("gb18030")), told="read as GB18030"),
    Case(14, "utf-16", text(str, lambda t: t.encode("utf-16")), told="read as UTF-16"),
    Case(14, "gzip", text(str, lambda t: gzip.compress(t.encode()))),
    Case(14, "xlsx", _workbook, told="read as a workbook"),
    refusing(15, "title", text(_shifted), "Set skip_rows = 1", "a title above the header"),
    Case(15, "title-skipped", text(_shifted), {"skip_rows": 1}),
    Case(15, "padding", text(lambda t: t.replace("\n", ",,\n"))),
    Case(15, "padding-named", csv(_padded)),
    Case(16, "hive", _by_month),
    Case(17, "list", parquet(_unused), told="column 'tags': of type list<element: string>: left out"),
    Case(18, "dashes", column("consumption", lambda x: [*x[:-9], *["--"] * 9]), schema="not a number", job="not a number"),
    Case(18, "dashes-declared", column("consumption", lambda x: [*x[:-9], *["--"] * 9]), {"missing": ["--"]}),
    Case(18, "hive-null", column("consumption", lambda x: [*x[:-9], *["\\N"] * 9])),
    Case(22, "names", csv(lambda f: f.assign(name=[f"company {k}" for k in range(len(f))])), told="texts that hardly repeat"),
    Case(23, "decimal", parquet(_decimals)),
    Case(24, "boolean-then-integer", _halves),
    Case(26, "money", column("consumption", lambda x: [f"${v:,.2f}" for v in x]), told="the unit $"),
    Case(27, "id-2", column("id", lambda x: x + ".00"), told="zeros behind a decimal point"),
    Case(29, "feed-in", column("consumption", lambda x: [-50.0, *x[1:]]), records={"fields": {"consumption": {
         "column": "consumption", "negative": "net"}}}, kwh=lambda clean: [-50.0, *clean.consumption[1:4]]),
]  # fmt: skip
