"""What the columns of a file are, a line each, and the dataset that a configuration would declare of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.config import read_toml, to_toml, validate
from common.errors import ConfigError, DataError
from common.features import leaks
from common.party import Party
from common.rows.dataset import Loaded, look_at, read_table
from common.rows.declare import ColumnConfig, DatasetConfig
from common.rows.ids import form
from common.rows.kind import Seen
from common.rows.months import month_text

Values = npt.NDArray[np.float64]

_ANY_KEY = "\N{NO-BREAK SPACE}"  # a name that no column has: nothing is known of keys yet


@dataclass(frozen=True)
class Schema:
    """lines: (column, kind, what was seen and done). warnings: what else to look at. config: the dataset, if its id is known.

    notes: how the file was read. loud: columns of `lines` to look at.
    """

    lines: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]
    suspicious: tuple[str, ...]
    config: DatasetConfig | None
    columns: dict[str, ColumnConfig]
    loud: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def schema(raw: dict[str, Any], source: str, faults: list[DataError] | None = None) -> Schema:
    """The schema of a file by the keys of a dataset; without `id`, of all columns alike. Raises ConfigError, DataError.

    faults: takes what is wrong in single columns, as of `read_table`.
    """
    if not raw.get("id") and "features" not in raw:
        seen = look_at(validate(DatasetConfig, {**raw, "id": _ANY_KEY}, source), faults)
        columns = {s.column: s.config for s in seen if s.config is not None}
        return Schema(_lines(seen), (), (), None, columns, _loud(seen))
    config = validate(DatasetConfig, raw, source)
    party = Party.BANK if config.label is not None else Party.GRID
    loaded = read_table(config, name=Path(source).name, party=party, faults=faults)
    suspicious = leaks.find(loaded.table, loaded.aside)
    lines = (*_keys(config, loaded), *_lines(loaded.seen))
    told = {s.text for s in loaded.seen}
    warnings, notes = (tuple(t for t in of if t not in told) for of in (loaded.warnings, loaded.notes))
    return Schema(lines, warnings, suspicious, config, loaded.columns, _loud(loaded.seen), notes)


def _lines(seen: tuple[Seen, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple((s.column, s.kind, s.said) for s in seen)


def _loud(seen: tuple[Seen, ...]) -> frozenset[str]:
    return frozenset(s.column for s in seen if s.loud)


def _keys(config: DatasetConfig, loaded: Loaded) -> list[tuple[str, str, str]]:
    """Lines of id, month and label."""
    table = loaded.table
    forms = Counter(map(form, table.ids.levels.to_pylist())).most_common(3)
    told = ", ".join(f"{count:,} of {text}" for text, count in forms)
    lines = [(config.id, "id", f"{len(table.ids.levels):,} different ids in {table.rows:,} rows: {told}")]
    if config.period is not None and table.periods is not None:
        first, last = (month_text(int(m)) for m in (table.periods.min(), table.periods.max()))
        lines.append((config.period, "month", f"{first} to {last}"))
    if config.label is not None and table.label is not None:
        lines.append((config.label, "label", _outcomes(table.label)))
    return lines


def _outcomes(label: Values) -> str:
    known = label[~np.isnan(label)]
    if not len(known):
        return "no outcome is known"
    said, left = f"1 in {known.mean():.2%} of rows", len(label) - len(known)
    return said + (f"; {left:,} {'row' if left == 1 else 'rows'} whose outcome is not known yet" if left else "")


def as_toml(schema: Schema, name: str) -> str:
    """The sections of a configuration that declare the file as it was seen. The schema must have a `config`."""
    if schema.config is None:
        raise ValueError("the id is not known")
    raw = schema.config.model_dump(mode="json", exclude_defaults=True, exclude={"columns"})
    columns = {column: config.model_dump(mode="json", exclude_defaults=True) for column, config in schema.columns.items()}
    return to_toml({"datasets": {name: raw | {"columns": columns}}})


def dataset_of(path: Path) -> dict[str, Any]:
    """The keys of the one dataset that a TOML file declares, its path from the file's folder. Raises ConfigError."""
    datasets = read_toml(path).get("datasets", {})
    if not isinstance(datasets, dict) or len(datasets) != 1 or not isinstance(raw := next(iter(datasets.values())), dict):
        raise ConfigError(f"{path}: does not declare one dataset", remedy="Write one section [datasets.NAME].")
    places = {key: path.resolve().parent / raw[key] for key in ("path", "features") if isinstance(raw.get(key), str)}
    return {**raw, **places}
