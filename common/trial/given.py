"""The datasets that `check` and `try` are given: files by options of the command line, or declarations.

What names a column of one side stands above what its declaration says, and that above an option for both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.config import validate
from common.errors import ConfigError
from common.records.options import parse_missing
from common.rows.declare import DatasetConfig
from common.rows.featurefile import declared
from common.trial.heads import no_ids, parse_words


@dataclass(frozen=True)
class Names:
    """The options that name columns, and words of these, as a user gave them."""

    key: str | None = None
    grid_key: str | None = None
    bank_key: str | None = None
    period: str | None = None
    grid_period: str | None = None
    bank_period: str | None = None
    label: str | None = None
    label_values: str | Mapping[str, int] | None = None
    missing: str | Sequence[str] | None = None
    decimal: str | None = None

    def own(self, role: str, name: str) -> str | None:
        """The option that is of this side alone: `name` is key or period."""
        found: str | None = getattr(self, f"{role}_{name}")
        return found


def raw_of(paths: Mapping[str, Path], names: Names) -> dict[str, dict[str, Any]]:
    """By party the keys of its dataset, as a configuration would have them; `id` is absent where nothing names it.

    paths: by party (grid, bank, bank-2 ...), a table or a declaration (TOML). Raises ConfigError.
    """
    return {party: _raw(role_of(party), path, names) for party, path in paths.items()}


def role_of(party: str) -> str:
    return "grid" if party == "grid" else "bank"


def _raw(role: str, path: Path, names: Names) -> dict[str, Any]:
    said = _said(path)
    if "features" in said:  # and the file of features itself says its keys and label
        return said
    shared = {"id": names.key, "period": names.period, "decimal": names.decimal}
    own: dict[str, Any] = {"id": names.own(role, "key"), "period": names.own(role, "period")}
    if role == "bank":
        own |= {"label": names.label, "label_values": parse_words(names.label_values)}
    found = {key: value for key, value in shared.items() if value} | said | {key: value for key, value in own.items() if value}
    absent = [*said.get("missing", ()), *parse_missing(names.missing)]
    return found | ({"missing": list(dict.fromkeys(absent))} if absent else {})


def _said(path: Path) -> dict[str, Any]:
    """A file as it is, or what `wattscore schema --out` says of it."""
    if path.suffix != ".toml":
        return {"path": path.resolve()}
    from common.records.schema import dataset_of

    return dataset_of(path)


def named(raw: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether each party's column of ids is named."""
    return all("features" in entry or entry.get("id") for entry in raw.values())


def datasets(
    raw: Mapping[str, Mapping[str, Any]], paths: Mapping[str, Path], names: Names
) -> tuple[dict[str, DatasetConfig], dict[str, str]]:
    """The datasets by party, and by `party.role` (grid.id, bank.label) what named that column, for errors.

    Raises ConfigError for a party without a column of ids, or of months where another has one; DataError for a file of features
    that does not say.
    """
    for party, entry in raw.items():
        if not named({party: entry}):
            raise no_ids(role_of(party))
    found = {party: validate(DatasetConfig, dict(entry), str(paths[party])) for party, entry in raw.items()}
    _check_months({party: declared(config).period for party, config in found.items()})
    options = {
        f"{party}.{role}": _option(party, role, paths[party], names) for party in raw for role in ("id", "period", "label")
    }
    return found, options


def _option(party: str, role: str, path: Path, names: Names) -> str:
    """What a user would change to name another column."""
    name = "key" if role == "id" else role
    if name != "label" and names.own(role_of(party), name):
        return f"--{role_of(party)}-{name}"
    if path.suffix == ".toml" and not (name == "label" and names.label) and role in _said(path):
        return f"{role} of {path.name}"
    return f"--{name}"


def _check_months(periods: Mapping[str, str | None]) -> None:
    has = next((party for party, period in periods.items() if period), None)
    lacks = next((party for party, period in periods.items() if not period), None)
    if has and lacks:
        raise ConfigError(
            f"the {has}'s rows are by month ({periods[has]}), and nothing names the months of the {lacks}",
            remedy=f"Give --{role_of(lacks)}-period, or --period where both call it alike.",
        )
