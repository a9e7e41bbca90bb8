"""What can be told of two files before any process starts: columns that lack, ids that never meet, labels that are none.

Reads headers, then keys and label alone; nothing here loads what computes.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.errors import ConfigError, DataError
from common.rows.declare import DatasetConfig
from common.rows.featurefile import declared
from common.rows.ids import form, masked, read_ids, unmatched_forms
from common.rows.labels import read_labels, with_outcome
from common.rows.tablefile import TableFile

LEAST, SMALL = 1000, 20  # min_matched: the default, and with --allow-small
COLUMNS = 5  # min_columns of the grid's default policy
_SHOWN = 12  # columns that an error lists
_NEAR = 0.5  # of letters that are alike: names of two characters are near by one
_EXAMPLES = 2  # ids of each side, masked
_SAMPLED = 20_000  # ids of a side whose forms are counted
_OTHER = {"grid": "bank", "bank": "grid"}


@dataclass(frozen=True)
class Keys:
    """Ids of both sides, each once, in the form in which they are compared: Arrow arrays; common: how many both have."""

    ids: Mapping[str, Any]
    common: int

    def said(self) -> list[str]:
        """Lines for the one who has both files: how many, of which forms, and what tells the unmatched ones apart."""
        lines = []
        for side in ("grid", "bank"):
            own, other = self.ids[side], self.ids[_OTHER[side]]
            forms = Counter(map(form, own[:_SAMPLED].to_pylist())).most_common(2)
            alone = pc.filter(own, pc.invert(pc.is_in(own, value_set=other)))
            written = " or ".join(text for text, _ in forms)
            told = f"{len(own):,} ids at the {side}, as {written}; {len(alone):,} at the {side} alone"
            if len(alone):
                told += f", such as {', '.join(dict.fromkeys(map(masked, alone[:_EXAMPLES].to_pylist())))}"
            matched = pc.filter(own, pc.is_in(own, value_set=other))[:_SAMPLED].to_pylist()
            rest, lost = alone[:_SAMPLED].to_pylist(), partial(_zeros_lost, other)
            strange = unmatched_forms(matched, rest, lost) if matched else "leading zeros are lost" if lost(rest) else ""
            lines.append(told + (f" ({strange})" if strange else ""))
        return [f"{self.common:,} ids are common to both", *lines]


def _zeros_lost(other: Any, ids: Sequence[str]) -> bool:
    """Whether most of these ids are `other`'s once zeros stand before them, to a length that ids there have."""
    found = np.zeros(len(ids), np.bool_)
    for length in pc.unique(pc.utf8_length(other)).to_pylist():
        filled = [id.zfill(length) if len(id) < length else None for id in ids]
        found |= np.asarray(pc.is_in(pa.array(filled, pa.string()), value_set=other, skip_nulls=True))
    return bool(2 * found.sum() > len(ids))


def open_files(tables: Mapping[str, DatasetConfig], options: Mapping[str, str]) -> dict[str, TableFile]:
    """The files, both or one side's, once each has its keys and the bank's has the label.

    tables: by side. options: for what is named (grid.id, bank.label ...), what the user called it by, for the error.
    Raises DataError for a file that cannot be read, or lacks a column: with those it has, the nearest, and where else it is.
    """
    configs = {side: declared(config) for side, config in tables.items()}
    try:
        files = {side: TableFile.open(config.path, config, side) for side, config in configs.items()}
    except DataError as error:
        raise with_option(error) from None
    for side, config in configs.items():
        for role in ("id", "period", "label"):
            column = getattr(config, role)
            if column and column not in files[side].header:
                raise _lacks(files, side, column, options.get(f"{side}.{role}", f"--{role}"))
    return files


def _lacks(files: Mapping[str, TableFile], side: str, column: str, option: str) -> DataError:
    here, there = files[side].header, files[_OTHER[side]].header if _OTHER[side] in files else []
    near = difflib.get_close_matches(column, here, n=2, cutoff=_NEAR) or [c for c in here if c.casefold() == column.casefold()]
    text = f"{files[side].label}: no column {column!r} ({option}). It has {_quoted(here)}"
    if column in there and option in ("--label", f"--{side}-key", f"--{side}-period"):  # which are of this side alone
        return _refused(text, f"{files[_OTHER[side]].label} has it: are the two files swapped?")
    if near:
        return _refused(text, f"Nearest: {', '.join(map(repr, near))}.")
    if column in there and option in ("--key", "--period"):
        own = f"--grid-{option[2:]} and --bank-{option[2:]}"
        return _refused(text, f"{files[_OTHER[side]].label} has it: name each side's own by {own}.")
    return _refused(text, f"Name the column by {option}.")


def _refused(text: str, remedy: str) -> DataError:
    return DataError(text, public="the two files do not go together", remedy=remedy)


def read_keys(files: Mapping[str, TableFile], tables: Mapping[str, DatasetConfig], warnings: list[str]) -> Keys:
    """The ids of both, and the bank's labels read. Raises DataError for ids or labels that are none, or labels of one class."""
    ids = {side: _own_ids(files[side], declared(config), warnings) for side, config in tables.items()}
    common = int(pc.sum(pc.is_in(ids["grid"], value_set=ids["bank"])).as_py() or 0)
    return Keys(ids, common)


def _own_ids(file: TableFile, config: DatasetConfig, warnings: list[str]) -> Any:
    columns = [config.id, *([config.label] if config.label else [])]
    data = file.read(columns)
    found = read_ids(file, config.id, data)
    used = np.unique(found.codes[found.codes >= 0])
    if config.label:
        label = read_labels(file, config, config.label, data)
        with_outcome(file, config.label, label, np.ones(len(label), np.bool_), warnings)
    return pc.unique(pa.chunked_array([found.texts]).take(pa.array(used[~found.bad[used]])))


def check_alone(bank: DatasetConfig, options: Mapping[str, str], least: int) -> None:
    """As `check_files`, for the file of one of several banks that train without a grid."""
    file = open_files({"bank": bank}, options)["bank"]
    found = len(_own_ids(file, declared(bank), []))
    if found < least:
        raise _refused(
            f"{file.label}: {found:,} ids, below {least:,}, the fewest a model should be made of",
            "To try anyway on a table so small: --allow-small.",
        )


def check_files(tables: Mapping[str, DatasetConfig], options: Mapping[str, str], least: int, *, several: bool = False) -> None:
    """Raises DataError for two files of which no training could come, by their headers, their ids and the label.

    several: whether the bank's is one of several, which is then named.
    """
    files = open_files(tables, options)
    check_common(read_keys(files, tables, []), least, f"{files['bank'].label}: " if several else "")


def check_common(keys: Keys, least: int, of: str = "") -> None:
    """Raises DataError where fewer than `least` ids are common, with what tells them apart. of: whose, said before."""
    if keys.common >= least:
        return
    if not keys.common:
        remedy = "Are these the same ids, written alike? Name each side's column by --grid-key and --bank-key."
        raise _refused(of + "no id is common to both files: " + "; ".join(keys.said()[1:]), remedy)
    raise _refused(
        f"{of}{keys.common:,} ids are common to both files, below {least:,}, the fewest a model should be made of: "
        + "; ".join(keys.said()[1:]),
        "To try anyway on a table so small: --allow-small.",
    )


def check_columns(file: str, columns: Sequence[str]) -> None:
    """Raises DataError for a table of the grid with fewer columns to train on than its default policy lets be trained."""
    if len(columns) < COLUMNS:
        names, several = ", ".join(map(repr, columns)) or "none", "" if len(columns) == 1 else "s"
        raise _refused(
            f"{file}: {len(columns)} column{several} to train on ({names}), below {COLUMNS}: scores would all but tell them",
            "Bring more columns of the grid, or to try anyway: --allow-small.",
        )


def check_alike(banks: Mapping[str, Mapping[str, str]]) -> None:
    """Raises DataError where several banks' files do not bring the same columns to train on, all of them numbers.

    banks: by file, each column's kind.
    """
    first, *others = banks
    for file, kinds in banks.items():
        if words := [name for name, kind in kinds.items() if kind == "categorical"]:
            raise _refused(
                f"{file}: words in {_quoted(words)}, and columns of several banks must be numbers",
                "Take such columns out of each bank's file, or write each level as a column of 0 and 1.",
            )
    for file in others:
        lacking, further = (
            [name for name in a if name not in b] for a, b in ((banks[first], banks[file]), (banks[file], banks[first]))
        )
        if lacking or further:
            told = [f"lacks {_quoted(lacking)}"] * bool(lacking) + [f"also has {_quoted(further)}"] * bool(further)
            raise _refused(
                f"{file} {' and '.join(told)}, other than {first}: several banks bring columns of the same names",
                "Rename them alike, or take out of each file what not all have.",
            )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def parse_words(said: str | Mapping[str, int] | None) -> dict[str, int]:
    """`是=1,否=0` as a mapping, or one as it is. Raises ConfigError for anything else."""
    pairs = [(str(word), str(value)) for word, value in said.items()] if isinstance(said, Mapping) else []
    for part in said.split(",") if isinstance(said, str) and said else ():
        word, equals, value = part.strip().rpartition("=")
        pairs.append((word if equals else "", value))
    found: dict[str, int] = {}
    for word, value in pairs:
        if not word or value not in ("0", "1"):
            raise ConfigError(
                f"--label-values: {f'{word}={value}' if word else value!r} is not like 是=1",
                remedy="Write --label-values 是=1,否=0, in Python also {'是': 1, '否': 0}.",
            )
        found[word] = int(value)
    return found


def with_option(error: DataError) -> DataError:
    """The same error, whose remedy also says what stands for a key of a configuration where there is none."""
    if "`missing`" in error.remedy:
        error.remedy += " Here: --missing=-,N/A, for words that mean missing in either file."
    if "declare `period`" in error.remedy:
        error.remedy += " Here: --period, the column of months."
    if "eclare its encoding" in error.remedy:
        error.remedy += " Here: `wattscore schema FILE --encoding ... --out FILE.toml` says so; give FILE.toml in its place."
    if "et decimal = " in error.remedy:
        error.remedy += " Here: `--decimal .`, for both files."
    if option := next(
        (key for key in ("separator", "skip_rows", "sheet") if f"et {key} = " in error.remedy or f"`{key}`" in error.remedy),
        None,
    ):
        name = f"--{option.replace('_', '-')}"
        error.remedy += f" Here: `wattscore schema FILE {name} ... --out FILE.toml` says so; give FILE.toml in its place."
    return error


def key_names(key: str | None, grid_key: str | None, bank_key: str | None) -> dict[str, tuple[str, str]]:
    """By side, the column of ids and the option that named it. Raises ConfigError where one side has none."""
    found = {}
    for side, own in (("grid", grid_key), ("bank", bank_key)):
        name = own or key
        if not name:
            raise no_ids(side)
        found[side] = (name, f"--{side}-key" if own else "--key")
    return found


def no_ids(side: str) -> ConfigError:
    return ConfigError(f"no column of ids for the {side}", remedy=f"Give --key for both, or --{side}-key.")


def candidates(files: Mapping[str, TableFile], columns: Mapping[str, Sequence[str]]) -> list[tuple[int, str, str]]:
    """(common ids, the grid's column, the bank's) of the pairs of columns that share any, the most first."""
    read: dict[tuple[str, str], Any] = {}
    for side, names in columns.items():
        data = files[side].read(list(names))
        for name in names:
            try:
                read[side, name] = pc.unique(pa.chunked_array([read_ids(files[side], name, data).texts]))
            except DataError:  # no ids
                continue
    pairs = [
        (int(pc.sum(pc.is_in(one, value_set=other)).as_py() or 0), a, b)
        for (side, a), one in read.items() if side == "grid" for (at, b), other in read.items() if at == "bank"
    ]  # fmt: skip
    return sorted((pair for pair in pairs if pair[0] > 1), reverse=True)
