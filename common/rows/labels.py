"""The column of outcomes: 1, 0 or not known yet, by the words that a file has for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from common.rows.declare import DatasetConfig
from common.rows.numbers import read_numbers
from common.rows.origin import Data, Mask, Note
from common.rows.tablefile import TableFile
from common.rows.text import read_coded

_SHOWN = 6  # words of an error


def read_labels(file: TableFile, config: DatasetConfig, column: str, data: Data) -> npt.NDArray[np.float64]:
    """1.0, 0.0, or NaN where the outcome is not known, (n,). Raises DataError for a value that is none of these."""
    if config.label_values:
        return _by_words(file, config, column, data)
    found = read_numbers(file, column, data, words=config.missing)
    values = found.values
    bad = found.malformed | ~(np.isnan(values) | (values == 0) | (values == 1))
    if bad.any():
        words = "label_values = { yes = 1, no = 0 }, or --label-values yes=1,no=0"
        remedy = f"Write 1 for overdue and 0 for not, or say what its words mean: {words}."
        raise file.bad_rows(column, bad, "the label is not 0 or 1", remedy, data[column])
    return values


def _by_words(file: TableFile, config: DatasetConfig, column: str, data: Data) -> npt.NDArray[np.float64]:
    codes, texts = read_coded(file, column, data, config.missing)
    meant = np.full(len(texts) + 1, np.nan)  # missing, at the end
    strange = np.zeros(len(texts) + 1, np.bool_)
    for place, text in enumerate(pc.utf8_trim_whitespace(texts).to_pylist()):
        if text in config.label_values:
            meant[place] = config.label_values[text]
        else:
            strange[place] = text is not None
    bad = strange[codes]
    if bad.any():
        known = ", ".join(list(config.label_values)[:_SHOWN])
        raise file.bad_rows(
            column, bad, "the label is none of the words that label_values has", f"It has: {known}. Add it.", data[column]
        )
    return meant[codes]


def with_outcome(file: TableFile, column: str, label: npt.NDArray[np.float64], kept: Mask, warnings: list[str]) -> Mask:
    """The rows whose outcome is known, (n,); how many there are not goes to `warnings`.

    Raises DataError where the kept ones of these are not of both classes.
    """
    there = ~np.isnan(label)
    found = np.unique(label[there & kept])
    if not len(found):
        raise file.fault(f"column {column!r}: no outcome is known", remedy="Training needs rows of both classes.")
    if len(found) == 1:
        raise file.fault(f"column {column!r}: every label is the same", remedy="Training needs rows of both classes.")
    if not there.all():
        warnings.append(Note(f"column {column!r}: {int((~there).sum())} rows whose outcome is open are left out of training"))
    return there
