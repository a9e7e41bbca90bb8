"""A file of features says itself what it holds: keys, columns, kinds, reasons, and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import ConfigError, DataError
from common.rows.declare import ColumnConfig, DatasetConfig
from common.rows.formats.paths import parts_of

METADATA = b"wattscore"
"""The key of a feature file's metadata."""


def read_made(path: Path) -> dict[str, Any]:
    """What a feature file says of itself. Raises DataError for a file that does not say."""
    try:
        with path.open("rb") as stream:
            found: dict[str, Any] = json.loads(pq.read_schema(stream).metadata[METADATA])
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        remedy = "Check the path, or write it with `wattscore features`."
        raise DataError(message, public="a feature file cannot be read", remedy=remedy) from None
    except (pa.ArrowException, KeyError, TypeError, ValueError):
        message = f"{path}: not a feature file of wattscore"
        public = "not a feature file of wattscore"
        raise DataError(message, public=public, remedy="Write it with `wattscore features`.") from None
    return found


def declared(config: DatasetConfig) -> DatasetConfig:
    """`config`, or what the file of features that it names says; columns given in the configuration stand above the file's.

    Raises DataError for a file that does not say, ConfigError for a column that it does not hold.
    """
    if config.features is None:
        return config
    made = read_made(config.features)
    try:
        keys, columns = made["keys"], {name: ColumnConfig.model_validate(raw) for name, raw in made["columns"].items()}
    except (KeyError, TypeError, ValueError):
        message = f"{config.features}: does not say what its columns are: an older version made it"
        raise DataError(
            message, public="a feature file of an older version", remedy="Make it again, or declare `path`."
        ) from None
    if unknown := [name for name in config.columns if name not in columns]:
        raise ConfigError(f"{config.features}: holds no column {unknown[0]!r}", remedy=f"It holds: {', '.join(columns)}.")
    return DatasetConfig(
        path=config.features,
        id=keys["id"],
        period=keys["month"],
        label=keys.get("label"),
        columns={name: config.columns.get(name, column) for name, column in columns.items()},
    )


def there(config: DatasetConfig) -> bool:
    """Whether any file is where the configuration says."""
    return bool(parts_of([config.features or config.path]))
