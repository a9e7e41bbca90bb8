"""One party's raw monthly records into features and a report on their quality, from a configuration to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.disk.files import write_private
from common.disk.pages import linked
from common.errors import ConfigError
from common.features import leaks
from common.party import Party
from common.records.build import Features, Keys, build, write
from common.records.clean import Cleaned, clean
from common.records.config import Output, RecordsConfig, load_records
from common.records.defaults import default_recipes
from common.records.entries import flatten
from common.records.panel import Codes
from common.records.quality import quality
from common.records.source import read
from common.rows.table import Coded, Columns, FeatureTable, Ids
from common.text.words import Lang


def make_features(
    config: Path, out: Path, report: Path | None = None, lang: Lang = "en"
) -> tuple[Features, Cleaned, RecordsConfig]:
    """Writes `out`, and the report if asked, once all is made. Raises ConfigError and DataError; then nothing is written."""
    settings = load_records(config)
    _check_outputs(out, report)
    cleaned = clean(settings, read(settings))
    party = Party.GRID if settings.party == "grid" else Party.BANK
    recipes = flatten(settings.recipes) or default_recipes(party, cleaned.panel, settings.samples)
    made = build(cleaned.panel, recipes, settings.samples, source=str(config))
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
        write(made, out, keys=_keys(settings.output))
    except OSError as error:
        raise ConfigError(
            f"{error.filename or out}: cannot be written ({error.strerror})", remedy="Check the folder."
        ) from None
    return made, cleaned, settings


def suspects(made: Features) -> tuple[str, ...]:
    """Features that are the label in all but name."""
    if made.label is None:
        return ()
    held = {name: _coded(v) if isinstance(v, Codes) else v for name, v in made.columns.items()}
    numeric = Columns({name: v for name, v in held.items() if not isinstance(v, Coded)})
    categorical = Columns({name: v for name, v in held.items() if isinstance(v, Coded)})
    label = made.label.astype(np.float64)
    table = FeatureTable(Ids.of([]), None, numeric, categorical, label, tuple(made.columns))
    return leaks.find(table)


def _coded(values: Codes) -> Coded:
    return Coded(values.codes, np.array([*values.levels, None], object))


def _check_outputs(out: Path, report: Path | None) -> None:
    """Refuses at once what would otherwise be found out after the work."""
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder", remedy="Name a file for --out.")
    if not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: its folder does not exist", remedy="Make it first.")
    if report is not None and report.exists() and not report.is_dir():
        raise ConfigError(f"{report}: is not a folder", remedy="Name a folder for --report.")


def _keys(output: Output) -> Keys:
    return Keys(id=output.id, month=output.month, label=output.label)
