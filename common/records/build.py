"""From a panel to features: one recipe at a time over all months, then the samples' cells; and the Parquet file of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from common import __version__
from common.config import StrictModel
from common.disk.files import private_file
from common.errors import ConfigError
from common.records.entries import check
from common.records.held import Codes, Held, Room, rows
from common.records.panel import Panel
from common.records.parts import WORK, column, packed, unpacked
from common.records.recipe import Recipe
from common.records.samples import Samples, chosen
from common.records.windows import Mask
from common.rows.declare import ColumnConfig
from common.rows.featurefile import METADATA
from common.rows.months import month_text

Column = npt.NDArray[np.float32] | Codes
_GROUP = 1 << 17  # rows of a group of the Parquet file


class Keys(StrictModel):
    """Names of the columns of a feature file that are no features."""

    id: str = "enterprise_id"
    month: str = "month"
    label: str = "overdue"

    def of(self, features: Features) -> dict[str, str]:
        """The names of those that a file of `features` has."""
        return self.model_dump(exclude={"label"} if features.label is None else None)


@dataclass(frozen=True, repr=False)
class Features:
    """n samples, by enterprise and then by month.

    enterprises: object (E,), ids ascending.  rows: int32 (n,) into them.  periods: int32 (n,), months from year 0.
    columns: name -> float32 (n,), missing as NaN, or Codes of int16 (n,); in order.  label: int8 (n,) or None.
    made: how they were made, JSON-safe: version, recipes, samples, digest.
    """

    enterprises: npt.NDArray[np.object_]
    rows: npt.NDArray[np.int32]
    periods: npt.NDArray[np.int32]
    columns: Held
    label: npt.NDArray[np.int8] | None
    made: Mapping[str, Any]

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> npt.NDArray[np.object_]:
        return self.enterprises[self.rows]

    def configs(self) -> dict[str, ColumnConfig]:
        """How a dataset of this file declares its columns: gaps filled by the median, heavy tails by their logarithm."""
        return {
            name: ColumnConfig(kind="categorical", categories=values.levels)
            if isinstance(values := rows(self.columns, name, 0, 0), Codes)
            else ColumnConfig(kind="numeric", transform="auto")
            for name in self.columns
        }

    def __repr__(self) -> str:
        return f"Features({self.count} samples, {len(self.columns)} columns)"


def build(
    panel: Panel, recipes: Iterable[Recipe], samples: Samples, *, source: str = "recipes", room: Room | None = None
) -> Features:
    """The features of every sample of `panel`, each strictly as of its month; the same in whatever room they are made.

    source: names the configuration in messages. Raises ConfigError for a recipe that the panel cannot serve or that
    looks at the label's own month, DataError if there is no sample or a feature is beyond float32.
    """
    recipes = tuple(recipes)
    check(
        recipes, numeric=panel.numeric, categorical=panel.categorical, label=panel.label is not None,
        ahead=samples.ahead, outcomes=samples.outcomes, source=source,
    )  # fmt: skip
    mask, label = chosen(panel, samples)
    known = None if label is None else label[mask].astype(np.int8)
    del label
    places, months = (index.astype(np.int32) for index in np.nonzero(mask))
    return Features(
        enterprises=panel.ids,
        rows=places,
        periods=panel.first + months,
        columns=_columns(recipes, panel, mask, room or Room()),
        label=known,
        made=made(recipes, samples),
    )


def _columns(recipes: tuple[Recipe, ...], panel: Panel, mask: Mask, room: Room) -> Held:
    """The samples' features, made for some enterprises at a time."""
    nobody = panel.part(0, 0)  # of whom recipes tell which features are categories
    coded = {r.column: values for r in recipes if isinstance(values := r.evaluate(nobody), Codes)}
    kinds = {r.column: coded[r.column].codes.dtype if r.column in coded else np.dtype(np.float32) for r in recipes}
    size = int(mask.sum())
    flat = {name: room.scratch.empty((size,), kind) for name, kind in kinds.items()}
    ends = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])

    def put(low: int, high: int, columns: Iterable[npt.NDArray[Any]]) -> None:
        for recipe, values in zip(recipes, columns, strict=True):
            flat[recipe.column][int(ends[low]) : int(ends[high])] = values

    def fill(low: int, high: int) -> None:
        few = panel.part(low, high)
        put(low, high, (column(recipe, few, mask[low:high]) for recipe in recipes))

    cuts = room.cuts(np.full(panel.enterprises, panel.months))
    if room.engine is not None:
        room.engine.run(
            WORK,
            len(cuts),
            lambda k: packed(panel.part(*cuts[k]), mask[slice(*cuts[k])], recipes),
            lambda k, made: put(*cuts[k], unpacked(made)),
        )
    else:
        with ThreadPoolExecutor(room.workers) as pool:
            try:
                for done in [pool.submit(fill, low, high) for low, high in cuts]:
                    done.result()
            finally:
                pool.shutdown(cancel_futures=True)  # where one fails, those that have not begun would else be waited for
    return Held(flat, {name: values.levels for name, values in coded.items()})


def made(recipes: Iterable[Recipe], samples: Samples) -> dict[str, Any]:
    """What a file of features says of its making; `digest` is the SHA-256 of recipes and samples as canonical JSON."""
    what = {"recipes": [r.model_dump(mode="json") for r in recipes], "samples": samples.model_dump(mode="json")}
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {"version": __version__, "digest": hashlib.sha256(text.encode()).hexdigest(), **what}


def write(features: Features, path: Path, *, keys: Keys | None = None, origin: Mapping[str, Any] | None = None) -> str:
    """Write `features` as Parquet, readable by its owner only; the file appears whole or not at all. Returns its SHA-256.

    Ids and months (YYYY-MM) are dictionary-encoded text, features float or dictionary-encoded text, the label int8.
    origin: what the caller knows of the records, such as their fingerprint; JSON-safe, recorded beside `made`. The same
    features, names and origin give the same bytes. Raises ConfigError if a feature has the name of a key.
    """
    names = keys or Keys()
    told = {**features.made, "origin": dict(origin or {}), "keys": names.of(features), "columns": _declared(features)}
    metadata = {METADATA: json.dumps(told, sort_keys=True, ensure_ascii=False)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with private_file(path) as stream:
        groups = _groups(features, names)
        first = next(groups)
        schema, tables = first.schema.with_metadata(metadata), chain([first], groups)
        del first  # one after the other: all of them may be larger than memory
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table.replace_schema_metadata(metadata), row_group_size=_GROUP)
                del table
                pa.default_memory_pool().release_unused()
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _declared(features: Features) -> dict[str, dict[str, Any]]:
    """How a dataset of the file declares its columns, where that is not the default."""
    return {name: config.model_dump(mode="json", exclude_defaults=True) for name, config in features.configs().items()}


def _groups(features: Features, keys: Keys) -> Iterator[pa.Table]:
    """The samples as tables of so many rows as a group of the file has."""
    names = [keys.id, keys.month, *([] if features.label is None else [keys.label])]
    if clash := [name for name in features.columns if name in names]:
        raise ConfigError(f"a recipe makes {clash[0]!r}, the name of a key column", remedy="Give it another `name`.")
    months, ids = np.unique(features.periods), pa.array(features.enterprises.tolist(), pa.string())
    texts = pa.array([month_text(m) for m in months.tolist()], pa.string())
    for low in range(0, max(1, features.count), _GROUP):
        own = slice(low, min(low + _GROUP, features.count))
        arrays = [
            _dictionary(features.rows[own], ids),
            _dictionary(np.searchsorted(months, features.periods[own]).astype(np.int32), texts),
            *([] if features.label is None else [pa.array(features.label[own])]),
            *(_feature(rows(features.columns, name, own.start, own.stop)) for name in features.columns),
        ]
        yield pa.table(arrays, names=[*names, *features.columns])


def _feature(values: Column) -> Any:
    if isinstance(values, Codes):
        return _dictionary(values.codes, pa.array(values.levels, pa.string()))
    return pa.array(values, from_pandas=True)


def _dictionary(codes: npt.NDArray[Any], levels: pa.Array) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), levels)
