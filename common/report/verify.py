"""`verify`: whether a report's page, JSON and CSV say the same and, at its party, whether the folder still gives them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from common.disk.pages import bare, beside
from common.errors import DataError
from common.report.page import Report
from common.report.tables import VERSION, Table, digest, read_tables
from common.report.texts import Choice

_HEAD = re.compile(r'<meta name="wattscore-report" content="(grid|bank) (\S+) (en|zh|en\+zh) ([0-9a-f]{64})">')
_NUMBER = re.compile(r"(?<![\w.])[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d{1,2})?(?!\w)%?", re.ASCII)  # none within a name
_WORDLESS = re.compile(r"[^A-Za-z]*( to [^A-Za-z]+)?")
_LISTED = 5


@dataclass(frozen=True)
class Check:
    """One thing compared: what, and what differs, () if nothing does."""

    what: str
    differs: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Written:
    """A report as it stands in its files."""

    page: str
    party: str
    job: str
    choice: Choice
    fingerprint: str  # of the tables, as the page says
    told: dict[str, Any]  # `overrides_look`: which final decisions are counted, where any are
    tables: tuple[Table, ...]
    csv: dict[str, str]


def read_report(page: Path) -> Written:
    """Raises DataError for files that are no report."""
    text, folder = beside(page)
    try:
        html = bare(page.read_bytes().decode())
        found = _HEAD.search(html)
        told = json.loads(text.read_bytes())
        tables = tuple(Table(t["name"], tuple(t["columns"]), tuple(map(tuple, t["rows"]))) for t in told["tables"])
        look = told.get("overrides_look", 0)
        found = found if told["version"] == VERSION and type(look) is int and 0 <= look < 1 << 63 else None
        csv = {file.name: file.read_bytes().decode() for file in folder.glob("*.csv")}
    except OSError as error:
        message = f"{error.filename}: cannot be read ({error.strerror})"
        raise DataError(
            message, public=message, remedy=f"A report is {page.name}, {text.name} and {folder.name}/ in one folder."
        ) from None
    except (ValueError, KeyError, TypeError):
        found = None
    if found is None:
        message = f"{page}: no report of this version, or a damaged one"
        raise DataError(message, public=message, remedy="Write it anew with `report`.")
    choices: dict[str, Choice] = {"en": "en", "zh": "zh", "en+zh": "both"}
    return Written(html, found[1], found[2], choices[found[3]], found[4], told, tables, csv)


def compare_files(written: Written) -> Iterator[Check]:
    """Page, JSON and CSV against each other; nothing else is read."""
    own = digest(written.tables)
    wrong = [who for who, value in (("page", written.fingerprint), ("JSON", written.told.get("tables_sha256"))) if value != own]
    yield Check("fingerprint of the tables", tuple(f"{who}: another fingerprint than the tables have" for who in wrong))
    named = (written.told.get("job"), written.told.get("party")) == (written.job, written.party)
    yield Check("job and party", () if named else ("page and JSON are of different jobs",))
    wanted = {f"{table.name}.csv": table.as_csv() for table in written.tables}
    names = sorted(wanted.keys() | written.csv.keys())
    yield Check("CSV files", tuple(f"{name} differs" for name in names if wanted.get(name) != written.csv.get(name)))
    yield Check("figures of the page", tuple(_figures(read_tables(written.page), written)))


def compare_again(written: Written, again: Report) -> Iterator[Check]:
    """What the party's folder gives now against what was written."""
    for key in ("code_sha256", "plan_sha256", "dataset_sha256", "files_sha256"):
        same = written.told.get(key) == again.about[key]
        yield Check(key, () if same else (f"{written.told.get(key)} in the report, {again.about[key]} here",))
    yield Check("tables, computed again", tuple(_tables(written.tables, again.tables)))
    yield Check("findings, made again", () if written.told.get("findings") == again.about["findings"] else ("they differ",))
    yield Check("page, drawn again", () if written.page == again.page else ("it is not the same byte for byte",))


def _tables(one: Sequence[Table], two: Sequence[Table]) -> Iterator[str]:
    for a, b in zip_longest(one, two):
        if a is None or b is None:
            yield f"table {(a or b).name} is on one side only"
        elif a != b:
            rows = sum(x != y for x, y in zip_longest(a.rows, b.rows))
            yield f"table {a.name}: {rows} rows differ"


def _figures(shown: Sequence[Table], written: Written) -> Iterator[str]:
    """Each figure of the page must be that of the tables, rounded; of a page in Chinese, those in cells without words."""
    numbers = {table.name: table for table in shown}

    def same(one: str, two: str) -> bool:
        return (written.choice == "zh" and not _WORDLESS.fullmatch(two)) or _agree(one, two)

    for table in written.tables:
        page = numbers.get(table.name)
        if page is None or len(page.rows) != len(table.rows):
            yield f"table {table.name} is not in the page"
            continue
        for k, (a, b) in enumerate(zip(page.rows, table.rows, strict=True), 1):
            if len(a) != len(b) or not all(map(same, a, b)):
                yield f"table {table.name}, row {k}: {' | '.join(a)}"


def _agree(shown: str, exact: str) -> bool:
    """Whether the numbers of one cell are those of the other, rounded as they are written."""
    one, two = list(map(_value, _NUMBER.findall(shown))), list(map(_value, _NUMBER.findall(exact)))
    return len(one) == len(two) and all(
        abs(a - b) <= 0.5001 * max(u, v) + 1e-9 for (a, u), (b, v) in zip(one, two, strict=True)
    )


def _value(text: str) -> tuple[float, float]:
    """(the number, the size of its last digit)."""
    plain = text.rstrip("%").replace(",", "").replace("−", "-")
    scale = 0.01 if text.endswith("%") else 1.0
    digits, _, power = plain.lower().partition("e")
    last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    return float(plain) * scale, last * scale


def tell(checks: Sequence[Check]) -> None:
    """Prints each check; ends the program with code 1 if one differs."""
    for check in checks:
        click.echo(f"{'differs' if check.differs else 'same':8} {check.what}")
        for text in check.differs[:_LISTED]:
            click.echo(f"         {text}")
        if len(check.differs) > _LISTED:
            click.echo(f"         and {len(check.differs) - _LISTED} more")
    if any(check.differs for check in checks):
        sys.exit(1)


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
def verify(report: Path) -> None:
    """Compare a REPORT's page with its JSON and CSV: fingerprints and each figure; exit code 1 if one differs."""
    tell(list(compare_files(read_report(report))))


def verify_here(written: Written, make: Callable[[str, Choice, int | None], Report]) -> list[Check]:
    """Both comparisons; make: the report of a job from this party's folder, with the final decisions of a look.

    The look is 0 for a report without any: one from before the first of them stays as it is.
    """
    again = make(written.job, written.choice, written.told.get("overrides_look", 0))
    return [*compare_files(written), *compare_again(written, again)]
