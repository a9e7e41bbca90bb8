"""Files a job leaves at the bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from common.disk.files import make_folder, private_file
from common.rows.keys import month_text
from common.rows.table import FeatureTable


def write_scores(path: Path, table: FeatureTable, columns: Mapping[str, Any]) -> None:
    """id, period if there is one, and these columns (n,) as CSV or, by its suffix, Parquet; whole or not at all."""
    make_folder(path.parent)
    months = {} if table.periods is None else {"period": _months(table.periods)}
    ids = table.ids.levels.take(pa.array(table.ids.codes))
    rows = pa.table({"id": ids, **months, **columns})
    with private_file(path) as stream:
        if path.suffix == ".parquet":
            pa.parquet.write_table(rows, stream)
        else:
            pa.csv.write_csv(_spelled(rows), stream)


def _months(periods: Any) -> pa.DictionaryArray:
    """YYYY-MM of months counted from year 0."""
    distinct, place = np.unique(periods, return_inverse=True)
    texts = [month_text(p) for p in distinct.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), pa.array(texts, pa.string()))


def _spelled(rows: pa.Table) -> pa.Table:
    """CSV has no dictionaries."""
    plain = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    return pa.table(plain, names=rows.column_names)
