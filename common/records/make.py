"""One party's raw monthly records into features and a report on their quality, from a configuration to files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from common.disk.files import write_private
from common.disk.pages import linked
from common.disk.refused import refused
from common.disk.scratch import Scratch
from common.errors import ConfigError
from common.party import Party
from common.records.build import Features, Keys, build, write
from common.records.clean import Cleaned, clean
from common.records.config import Output, RecordsConfig, load_records
from common.records.defaults import default_recipes
from common.records.entries import flatten
from common.records.held import Room
from common.records.quality import quality
from common.records.source import read
from common.rows.table import Coded, Columns, FeatureTable, Ids
from common.scale.engine import Engine
from common.scale.settings import load_cluster
from common.text.words import Lang

_PART, _CELLS = 1 << 10, 1 << 14  # bytes of memory for each enterprise-month worked on at once; at least so many of these
_FAR = 1 << 17  # of these in a part that is made elsewhere, where no memory was named


def make_features(
    config: Path,
    out: Path,
    report: Path | None = None,
    lang: Lang = "en",
    *,
    memory_mib: int | None = None,
    workers: int = 1,
    ray: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Features, Cleaned, RecordsConfig]:
    """Writes `out`, and the report if asked, once all is made. Raises ConfigError and DataError; then nothing is written.

    memory_mib: of arrays, of which the rest is kept in files without a name beside `out`; all in memory by default.
    workers: threads that make features. ray: the company's own Ray cluster, which makes them instead. None of these changes
    what is made. say: told what the cluster did.
    """
    settings = load_records(config)
    check_outputs(out, report)
    try:
        with _engine(ray, say) as engine:
            cleaned, made = _made(settings, config, _room(out, memory_mib, workers, engine))
    except OSError as error:  # of what is kept in files
        if (fault := refused(error)) is None:
            raise
        raise fault from None
    _tidy()
    found = quality(settings, cleaned)
    texts = {}
    if report:
        from common.records.quality_page import as_html  # it loads what draws

        texts = {"quality.json": found.as_json(), "quality.html": as_html(found, lang)}
    try:
        if report:
            report.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name, text in texts.items():
                write_private(report / name, linked(text, report / name).encode())
        _tidy()
        write(made, out, keys=_keys(settings.output))
    except OSError as error:
        raise ConfigError(
            f"{error.filename or out}: cannot be written ({error.strerror})", remedy="Check the folder."
        ) from None
    _tidy()
    return made, cleaned, settings


def _tidy() -> None:
    """Gives back what was freed, which small arrays would otherwise keep."""
    pa.default_memory_pool().release_unused()


@contextmanager
def _engine(ray: Path | None, say: Callable[[str], None]) -> Iterator[Engine | None]:
    if ray is None:
        yield None
        return
    from common.scale.cluster import joined  # what starts processes is loaded by those who asked for it

    with joined(load_cluster(ray)) as engine:
        yield engine
        say(str(engine.done))


def _room(out: Path, memory_mib: int | None, workers: int, engine: Engine | None) -> Room:
    if memory_mib is None:
        return Room(workers=workers) if engine is None else Room(cells=_FAR, engine=engine)
    budget = memory_mib << 20
    return Room(Scratch(out.resolve().parent, budget), max(_CELLS, budget // _PART), workers, engine)


def _made(settings: RecordsConfig, config: Path, room: Room) -> tuple[Cleaned, Features]:
    cleaned = clean(settings, read(settings, room.scratch), room)
    party = Party.GRID if settings.party == "grid" else Party.BANK
    recipes = flatten(settings.recipes) or default_recipes(party, cleaned.panel, settings.samples)
    return cleaned, build(cleaned.panel, recipes, settings.samples, source=str(config), room=room)


def suspects(made: Features) -> tuple[str, ...]:
    """Features that are the label in all but name."""
    if made.label is None:
        return ()
    from common.features import leaks  # it loads pandas, which takes 50 MiB

    flat, levels = made.columns.flat, made.columns.levels
    numeric = Columns({name: values for name, values in flat.items() if name not in levels})
    categorical = Columns({name: Coded(flat[name], np.array([*texts, None], object)) for name, texts in levels.items()})
    label = made.label.astype(np.float64)
    table = FeatureTable(Ids.of([]), None, numeric, categorical, label, tuple(made.columns))
    return leaks.find(table)


def check_outputs(out: Path, report: Path | None) -> None:
    """Refuses at once what would otherwise be found out after the work."""
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder", remedy="Name a file for --out.")
    if not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: its folder does not exist", remedy="Make it first.")
    if report is not None and report.exists() and not report.is_dir():
        raise ConfigError(f"{report}: is not a folder", remedy="Name a folder for --report.")


def _keys(output: Output) -> Keys:
    return Keys(id=output.id, month=output.month, label=output.label)
