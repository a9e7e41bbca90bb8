"""Who has agreed, by a table with dates: rows of nobody else are kept, and who agrees no longer is found."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.disk.scratch import Scratch
from common.errors import DataError, PolicyError
from common.party import Party
from common.rows.consent import ConsentConfig, Consents
from common.rows.dataset import DatasetConfig, Loaded, read_table

TODAY = date(2026, 3, 15)


class Calendar:
    today = TODAY

    def __call__(self) -> date:
        return self.today


def loaded(folder: Path, ids: list[str]) -> Loaded:
    path = folder / "rows.csv"
    pd.DataFrame({"id": ids, "x": range(len(ids)), "y": [0, 1] * (len(ids) // 2) + [0] * (len(ids) % 2)}).to_csv(
        path, index=False
    )
    config = DatasetConfig.model_validate({"path": path, "id": "id", "label": "y"})
    return read_table(config, name="rows", party=Party.BANK, require_label=True)


def consents(folder: Path, frame: pd.DataFrame, calendar: Calendar | None = None, **more: Any) -> Consents:
    write(folder, frame)
    dates = {name: name for name in ("since", "until") if name in frame}
    return Consents(ConsentConfig(path=folder / "agreed.csv", id="id", **{**dates, **more}), "rows", calendar or Calendar())


def write(folder: Path, frame: pd.DataFrame) -> None:
    """Whole or not at all, as who keeps such a table should."""
    frame.to_csv(folder / "agreed.new", index=False)
    (folder / "agreed.new").replace(folder / "agreed.csv")


def kept(book: Consents, table: Loaded) -> list[str]:
    return book.apply(table, Scratch()).table.ids.tolist()


DATES = [
    ("A", "2026-01-01", "2026-12-31"),
    ("B", "2026-03-15", "2026-03-15"),  # first and last day count
    ("C", "2026-03-16", ""),  # not yet
    ("D", "", "2026-03-14"),  # no longer
    ("E", "", ""),
    ("F", "2020/1/5", "20301231"),
    ("G", "2020年1月5日", "2021-01-01"),
    ("G", "2026-02-01", ""),  # agreed again
]


def test_rows_are_kept_of_those_whose_authorisation_is_in_force_today_and_of_nobody_else(tmp_path: Path) -> None:
    frame = pd.DataFrame(DATES, columns=["id", "since", "until"])
    table = loaded(tmp_path, [*"ABCDEFGH", "ab"])
    found = consents(tmp_path, frame).apply(table, Scratch())
    assert found.table.ids.tolist() == list("ABEFG") and found.table.rows == 5
    assert found.table.numeric["x"].tolist() == [0, 1, 4, 5, 6]
    (said,) = set(found.warnings) - set(table.warnings)
    assert "4 of 9 enterprises (44.4%) have no authorisation in force on 2026-03-15: 4 of 9 rows are left out" in said


def test_ids_are_compared_as_the_two_companies_compare_them(tmp_path: Path) -> None:
    book = consents(tmp_path, pd.DataFrame({"id": ["ａ１", " b2 "]}))
    assert kept(book, loaded(tmp_path, ["A1", "B2", "C3"])) == ["A1", "B2"]


def test_where_all_have_agreed_nothing_is_said_or_copied(tmp_path: Path) -> None:
    table = loaded(tmp_path, ["A", "B"])
    assert consents(tmp_path, pd.DataFrame({"id": ["A", "B", "Z"]})).apply(table, Scratch()) is table


def test_columns_beside_the_label_lose_the_same_rows(tmp_path: Path) -> None:
    table = loaded(tmp_path, ["A", "B", "C"])
    aside = Loaded(table.table, table.columns, aside={"paid": table.table.numeric["x"]})
    assert consents(tmp_path, pd.DataFrame({"id": ["A", "C"]})).apply(aside, Scratch()).aside["paid"].tolist() == [0.0, 2.0]


def test_dates_of_a_parquet_file_count_by_the_day(tmp_path: Path) -> None:
    days = [TODAY, TODAY - timedelta(days=1), None]
    pd.DataFrame({"id": ["A", "B", "C"], "until": pd.to_datetime(days)}).to_parquet(tmp_path / "agreed.parquet")
    config = ConsentConfig(path=tmp_path / "agreed.parquet", id="id", until="until")
    assert kept(Consents(config, "rows", Calendar()), loaded(tmp_path, ["A", "B", "C"])) == ["A", "C"]


NIGHT = timedelta(hours=8)  # a midnight of Shanghai is 16:00 of the day before in UTC
FROM = [datetime(2026, 3, 16), datetime(2026, 3, 15), datetime(2020, 1, 1), datetime(2020, 1, 1)]
TO = [datetime(2027, 1, 1), datetime(2027, 1, 1), datetime(2026, 3, 15), datetime(9999, 12, 31)]


def local(folder: Path, form: str) -> dict[str, Any]:
    """A table of authorisations whose days are midnights of Shanghai, in files of several writers."""
    ids, days = list("ABCD"), {"since": [day - NIGHT for day in FROM], "until": [day - NIGHT for day in TO]}
    if form == "text":
        pd.DataFrame({"id": ids} | {k: [f"{day.isoformat()}Z" for day in v] for k, v in days.items()}).to_csv(
            folder / "agreed", index=False
        )
    else:
        kind = pa.timestamp("us", "UTC" if form == "zoned" else None)
        table = pa.table({"id": ids} | {k: pa.array(v, kind) for k, v in days.items()})
        pq.write_table(table, folder / "agreed", use_deprecated_int96_timestamps=form == "int96")
    return {"path": folder / "agreed", "id": "id", "since": "since", "until": "until"}


@pytest.mark.parametrize("form", ["int96", "zoned", "shifted", "text"])
def test_an_authorisation_begins_and_ends_on_its_day_whatever_zone_wrote_it(form: str, tmp_path: Path) -> None:
    """A's begins tomorrow, C's ends today: in UTC both days would come one earlier. D's has no end that is near."""
    said, table = local(tmp_path, form), loaded(tmp_path, list("ABCD"))
    book = Consents(ConsentConfig(**said, zone="Asia/Shanghai"), "rows", Calendar())
    assert kept(book, table) == ["B", "C", "D"]
    with pytest.raises(DataError, match=r"column 'since' holds .* days") as caught:
        kept(Consents(ConsentConfig(**said), "rows", Calendar()), table)
    assert "in which they are days" in caught.value.remedy


def test_days_with_a_time_behind_them_are_read_by_the_clock_of_the_table(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": list("ABCD"), "since": ["2026-03-15 23:59:59", "2026年3月16日 00:00", "2026.3.15 08:30", "20260315"]}
    )
    assert kept(consents(tmp_path, frame), loaded(tmp_path, list("ABCD"))) == ["A", "C", "D"]


@pytest.mark.parametrize(
    "clock", ["23:59:59.000", "23:59:59.0", "23:59:59.000000", "23:59:59.9999999", "23:59:59,5", "23:59:59.08", "9:30"]
)
@pytest.mark.parametrize("day", ["2026-03-{}", "2026/3/{}", "2026.3.{}", "2026年3月{}日"])
def test_parts_of_a_second_and_an_hour_of_one_digit_are_no_zone_and_no_fault(day: str, clock: str, tmp_path: Path) -> None:
    """As databases and spreadsheets write them: 23:59:59.08 is not eight hours west of UTC."""
    frame = pd.DataFrame({"id": list("AB"), "since": [f"{day.format(15)} {clock}", f"{day.format(16)} 0:00"]})
    assert kept(consents(tmp_path, frame), loaded(tmp_path, list("AB"))) == ["A"]


@pytest.mark.parametrize(
    ("frame", "says", "public"),
    [
        ({"id": ["A"], "since": ["soon"]}, "line 2, column 'since': 'soon': not a day", "column 'since': not a day (1 row)"),
        ({"id": ["A"], "since": ["2026-01-31 at noon"]}, "'2026-01-31 at noon': not a day", "not a day"),
        ({"id": ["A"], "since": ["2026-02-30"]}, "'2026-02-30': not a day", "not a day"),
        ({"id": ["A", ""], "since": ["", ""]}, "line 3, column 'id'", "the id is empty"),
        ({"id": ["Z"]}, "no enterprise in it has agreed", "dataset rows: no enterprise in it has agreed to this use"),
        ({"name": ["A"]}, "no column 'id'", "no column 'id'"),
    ],
)
def test_what_is_wrong_with_the_table_is_said_with_its_place_and_nobody_is_taken_to_agree(
    frame: dict[str, Any], says: str, public: str, tmp_path: Path
) -> None:
    book = consents(tmp_path, pd.DataFrame(frame))
    with pytest.raises(DataError) as caught:
        kept(book, loaded(tmp_path, ["A", "B"]))
    assert says in str(caught.value) and public in caught.value.public and "agreed.csv" not in caught.value.public


def test_a_missing_table_is_an_error_and_not_everybodys_consent(tmp_path: Path) -> None:
    book = Consents(ConsentConfig(path=tmp_path / "none.csv", id="id"), "rows", Calendar())
    with pytest.raises(DataError, match=r"none\.csv"):
        kept(book, loaded(tmp_path, ["A", "B"]))


def test_who_agrees_no_longer_is_found_by_file_and_by_day(tmp_path: Path) -> None:
    calendar, table = Calendar(), loaded(tmp_path, ["A", "B", "C"])
    frame = pd.DataFrame({"id": ["A", "B", "Z"], "until": ["2026-03-16", "", ""]})
    book = consents(tmp_path, frame, calendar)
    assert kept(book, table) == ["A", "B"] and not book.withdrawn()
    write(tmp_path, pd.concat([frame, pd.DataFrame({"id": ["C"], "until": [""]})]))
    assert not book.withdrawn()  # one more who agrees
    write(tmp_path, frame[frame["id"] != "Z"])
    assert not book.withdrawn()  # of whom no row is in the job
    calendar.today = date(2026, 3, 17)
    assert book.withdrawn()  # A's last day is over
    calendar.today = TODAY
    assert not book.withdrawn()
    write(tmp_path, frame[frame["id"] != "B"])
    assert book.withdrawn()
    (tmp_path / "agreed.csv").unlink()
    with pytest.raises(DataError):
        book.withdrawn()


def test_who_joins_later_must_agree_and_ends_the_job_as_others_do(tmp_path: Path) -> None:
    agreed = pd.DataFrame({"id": ["A", "B", "N"], "until": ["", "", "2026-03-15"]})
    book = consents(tmp_path, agreed)
    assert kept(book, loaded(tmp_path, ["A", "B"])) == ["A", "B"]
    write(tmp_path, agreed[:1])
    with pytest.raises(PolicyError, match="no authorisation"):
        book.join(pa.array(["N"]))
    write(tmp_path, agreed[agreed["id"] != "B"])
    book.join(pa.array(["N", "A"]))
    assert book.withdrawn()  # of B
    write(tmp_path, agreed)
    assert not book.withdrawn()
    write(tmp_path, agreed[:2])
    assert book.withdrawn()  # of who joined


def test_who_is_in_the_job_has_a_fingerprint(tmp_path: Path) -> None:
    table = loaded(tmp_path, ["A", "B", "C"])
    prints = []
    for ids in (["B", "A"], ["A", "B", "Y"], ["A"]):
        kept(book := consents(tmp_path, pd.DataFrame({"id": ids})), table)
        prints.append(book.fingerprint())
    assert prints[0] == prints[1] != prints[2]
