"""Files of scores: written when a job has scored rows, read again when their outcomes are known."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from common.disk.files import make_folder, private_file
from common.errors import DataError
from common.rows.months import month_text
from common.rows.table import FeatureTable

_KEYS = ("id", "period")
_FORMULA = r"[=+\-@\t\r]"  # how a cell begins that a spreadsheet computes
READ = ("u", "probability", "grade")
DECIDED = "decision"
_REQUESTED = ("u", "probability", DECIDED)


def write_scores(path: Path, table: FeatureTable, columns: Mapping[str, Any]) -> None:
    """id, period if there is one, and these columns (n,) as CSV or, by its suffix, Parquet; whole or not at all.

    A CSV with texts beyond ASCII begins with a byte-order mark, without which Excel takes it for the machine's old code page.
    """
    make_folder(path.parent)
    months = {} if table.periods is None else {"period": _months(table.periods)}
    ids = table.ids.levels.take(pa.array(table.ids.codes))
    rows = pa.table({"id": ids, **months, **columns})
    with private_file(path) as stream:
        if path.suffix == ".parquet":
            pa.parquet.write_table(rows, stream)
        else:
            plain = _spelled(rows)
            stream.write(b"" if _ascii(plain) else codecs.BOM_UTF8)
            pa.csv.write_csv(plain, stream)


def _months(periods: Any) -> pa.DictionaryArray:
    """YYYY-MM of months counted from year 0."""
    distinct, place = np.unique(periods, return_inverse=True)
    texts = [month_text(p) for p in distinct.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), pa.array(texts, pa.string()))


def _spelled(rows: pa.Table) -> pa.Table:
    """As CSV has it: no dictionaries, and no text that a spreadsheet takes for a formula."""
    plain = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    return pa.table([_harmless(c) if pa.types.is_string(c.type) else c for c in plain], names=rows.column_names)


def _ascii(rows: pa.Table) -> bool:
    return all(pc.all(pc.string_is_ascii(c)).as_py() is not False for c in rows.columns if pa.types.is_string(c.type))


def _harmless(texts: Any) -> Any:
    """An apostrophe before what begins as a formula does; reading ids takes it off again, here and in any dataset."""
    return pc.replace_substring_regex(texts, rf"^({_FORMULA})", r"'\1")


def read_scores(folder: Path, scored: Iterable[tuple[str, str, str]], values: tuple[str, ...] = READ) -> pd.DataFrame:
    """Rows of all jobs, model by model; of a row scored twice by one model the later score. Missing files are left out."""
    parts = []
    for job, model, name in scored:
        if (file := folder / name).exists():
            try:
                part = _read(file, values)
            except (pa.ArrowInvalid, KeyError):
                message = f"{file}: not a file of scores"
                remedy = "Restore it from a back-up, or move it out of this folder: it is then left out."
                raise DataError(message, public=f"the scores of job {job} are damaged", remedy=remedy) from None
            parts.append(part.assign(model=model, month=part.get("period", job)))
    if not parts:
        return pd.DataFrame(columns=["id", "month", *values, "model"])
    return pd.concat(parts).drop_duplicates(["id", "month", "model"], keep="last")


def _header(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        return list(pa.parquet.read_schema(file).names)
    with pa.csv.open_csv(file) as stream:
        return list(stream.schema.names)


def read_decided(file: Path) -> pd.DataFrame:
    """The rows of one file: id, period if there is one, u, probability, decision. Raises DataError for no file of scores."""
    try:
        return _read(file, _REQUESTED)
    except (OSError, pa.ArrowInvalid, KeyError):
        message = f"{file}: no file of scores that can be read"
        public = "a file of scores is missing or damaged"
        raise DataError(message, public=public, remedy="Restore it from a back-up, or score again.") from None


def _read(file: Path, values: tuple[str, ...] = READ) -> pd.DataFrame:
    """Raises ArrowInvalid, or KeyError for a column that is not there."""
    columns = ["id", *(["period"] if "period" in (header := _header(file)) else []), *values]
    if not set(columns) <= set(header):
        raise KeyError(file.name)
    text = {name: pa.string() for name in _KEYS if name in columns}
    if file.suffix == ".parquet":
        table = pa.parquet.read_table(file, columns=columns)
    else:
        options = pa.csv.ConvertOptions(include_columns=columns, column_types=text)
        table = pa.csv.read_csv(file, convert_options=options)
        ids = pc.replace_substring_regex(table["id"], rf"^'({_FORMULA})", r"\1")
        table = table.set_column(table.column_names.index("id"), "id", ids)
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype(dict.fromkeys(text, object))
