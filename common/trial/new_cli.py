"""`wattscore new`: the configuration of each process and a first plan, with what each line means beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.cells import cell_len

from common.config import Address, quoted, validate
from common.disk.files import make_folder, write_new
from common.errors import ConfigError
from common.party import Identity
from common.records.options import bank_period_option, grid_period_option, missing_option, parse_missing, period_option
from common.rows.declare import DatasetConfig
from common.trial.heads import key_names, open_files, parse_words

_TEMPLATES = Path(__file__).with_name("new")
FILES: Mapping[str, Sequence[str]] = {
    "coordinator": ("coordinator.toml",),
    "grid": ("grid.toml",),
    "bank": ("bank.toml", "client.toml", "plan.toml"),
}
_COLUMN = 56  # at which comments stand
_TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ROLES = {"coordinator": ("coordinator",), "grid": ("grid-party",), "bank": ("bank-party", "client")}


@click.command("new")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--role", "roles", type=click.Choice(list(FILES)), multiple=True, help="Only this organisation's files.")
@click.option("--grid-org", default="acme-grid", show_default=True, help="The grid company's name in certificates.")
@click.option("--bank-org", default="acme-bank", show_default=True, help="The bank's.")
@click.option("--neutral-org", default="neutral", show_default=True, help="That of whoever runs the coordinator.")
@click.option("--coordinator-address", default="coordinator.example:7000", show_default=True, help="Its HOST:PORT.")
@click.option("--grid-address", default="grid.example:7001", show_default=True, help="HOST:PORT of the grid.")
@click.option("--grid-table", type=_TABLE, help="The grid's table, whose header is looked at if it is given.")
@click.option("--bank-table", type=_TABLE, help="The bank's, likewise.")
@click.option("--key", default="enterprise_id", show_default=True, help="The column of enterprise ids, in both.")
@click.option("--grid-key", help="The grid's, where it has another name.")
@click.option("--bank-key", help="The bank's.")
@click.option("--label", default="overdue", show_default=True, help="The bank's column of outcomes.")
@click.option("--label-values", help="What its words mean: 是=1,否=0.")
@missing_option
@period_option
@grid_period_option
@bank_period_option
@click.option("--name", default="overdue next month", show_default=True, help="Of the plan, for people.")
def new(folder: Path, roles: tuple[str, ...], **given: Any) -> None:
    """Write configurations and a plan into FOLDER, with comments: coordinator/, grid/ and bank/, or one by --role."""
    texts = render(roles or tuple(FILES), **given)
    there = [path for path in texts if (folder / path).exists()]
    if there:
        raise ConfigError(f"{folder / there[0]} exists, and nothing was written", remedy="Give a new folder, or move it away.")
    for path, text in texts.items():
        make_folder((folder / path).parent)
        write_new(folder / path, text.encode())
        click.echo(str(folder / path))
    for role in roles or tuple(FILES):
        click.echo(_next(folder / role, role, given))


def render(
    roles: Sequence[str],
    *,
    grid_org: str,
    bank_org: str,
    neutral_org: str,
    coordinator_address: str,
    grid_address: str,
    grid_table: Path | None,
    bank_table: Path | None,
    key: str,
    grid_key: str | None,
    bank_key: str | None,
    label: str,
    label_values: str | None,
    missing: tuple[str, ...],
    period: str | None,
    grid_period: str | None,
    bank_period: str | None,
    name: str,
) -> dict[Path, str]:
    """The files of these roles, by path. Raises ConfigError or IdentityError for values no process would start with,
    DataError for a table that lacks a column."""
    from jinja2 import Environment, StrictUndefined

    orgs = {"coordinator": neutral_org, "grid": grid_org, "bank": bank_org}
    keys = key_names(key, grid_key, bank_key)
    meant, absent = parse_words(label_values), parse_missing(missing)
    months = _months(grid_period or period, bank_period or period)
    tables = {"grid": grid_table, "bank": bank_table}
    _check_tables(tables, keys, months, absent, {"label": label, "label_values": meant})
    words = ", ".join(f"{json.dumps(word, ensure_ascii=False)} = {value}" for word, value in meant.items())
    values = {
        **_identities(orgs),
        **_addresses("coordinator", coordinator_address),
        **_addresses("grid", grid_address),
        **{f"{side}_table": quoted(str(path.resolve()) if path else f"tables/{side}.csv") for side, path in tables.items()},
        **{f"{side}_key": quoted(column) for side, (column, _) in keys.items()},
        **{f"{side}_period": f"period = {quoted(of)}" if of else '## period = "month"' for side, of in months.items()},
        "missing": f"missing = {quoted(absent)}" if absent else '## missing = ["-", "-9999"]',
        "label": quoted(label),
        "label_values": f"label_values = {{ {words} }}" if words else "## label_values = { yes = 1, no = 0 }",
        "keys": '["id", "period"]' if months["bank"] else '["id"]',
        "name": quoted(name),
    }
    page = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  (TOML)
    return {
        Path(role) / file: _aligned(page.from_string((_TEMPLATES / f"{file}.j2").read_text(encoding="utf-8")).render(values))
        for role in roles
        for file in FILES[role]
    }


def _months(grid: str | None, bank: str | None) -> dict[str, str | None]:
    """The columns of months, which both sides have or neither."""
    if bool(grid) != bool(bank):
        has, lacks = ("grid", "bank") if grid else ("bank", "grid")
        raise ConfigError(
            f"nothing names the months of the {lacks}, and the {has}'s rows have them", remedy=f"Give --{lacks}-period."
        )
    return {"grid": grid, "bank": bank}


def _identities(orgs: Mapping[str, str]) -> dict[str, str]:
    """Who each process and the client is, as the templates name them."""
    if len(set(orgs.values())) < len(orgs):
        raise ConfigError("two of the three organisations have one name", remedy="The coordinator must be neither party's.")
    who = {
        "grid": Identity(orgs["grid"], "grid-party"), "bank": Identity(orgs["bank"], "bank-party"),
        "coordinator": Identity(orgs["coordinator"], "coordinator"), "client": Identity(orgs["bank"], "client"),
    }  # fmt: skip
    return {part: quoted(str(Identity.parse(str(one)))) for part, one in who.items()}


def _addresses(of: str, address: str) -> dict[str, str]:
    return {f"{of}_address": quoted(address), f"{of}_listen": quoted(_listen(address))}


def _listen(address: str) -> str:
    """Where a process listens that is reached by `address`: on loopback if it is there, else on all of the machine."""
    from pydantic import TypeAdapter, ValidationError

    from common.process.settings import is_loopback

    try:
        TypeAdapter(Address).validate_python(address)
    except ValidationError:
        raise ConfigError(f"{address!r} is not HOST:PORT", remedy="Write it as grid.example:7001.") from None
    return address if is_loopback(address) else f"0.0.0.0:{address.rpartition(':')[2]}"


def _check_tables(
    paths: Mapping[str, Path | None],
    keys: Mapping[str, tuple[str, str]],
    months: Mapping[str, str | None],
    absent: Sequence[str],
    outcome: Mapping[str, Any],
) -> None:
    """Raises DataError for a table that cannot be read, or has not the columns that its configuration would name."""
    tables = {}
    for side, path in paths.items():
        if path is not None:
            raw = {"path": path.resolve(), "id": keys[side][0], "period": months[side], "missing": absent}
            raw |= outcome if side == "bank" else {}
            tables[side] = validate(DatasetConfig, raw, str(path))
    open_files(tables, {f"{side}.id": option for side, (_, option) in keys.items()})


def _aligned(text: str) -> str:
    """Comments behind a value in one column, however long the value is."""
    lines = []
    for line in text.split("\n"):
        value, mark, comment = line.rpartition("  # ")
        room = " " * max(0, _COLUMN - 1 - cell_len(value.rstrip()))  # a Chinese character takes two cells
        lines.append(f"{value.rstrip()}{room} # {comment}" if mark and value.strip() else line)
    return "\n".join(lines)


def _next(home: Path, role: str, given: Mapping[str, Any]) -> str:
    org = given[f"{'neutral' if role == 'coordinator' else role}_org"]
    others = [given[name] for name in ("grid_org", "bank_org", "neutral_org") if given[name] != org]
    command = {"coordinator": "wattscore-coordinator", "grid": "grid-party", "bank": "bank-party"}[role]
    lines = [
        f"cd {home}",
        f"wattscore certs init --org {org} --dir ca",
        f"wattscore certs issue --dir ca {' '.join(f'--role {one}' for one in _ROLES[role])} --out certs",
        f"wattscore certs bundle --dir ca --out {org}.pem      # for the other two; theirs, fingerprints compared, here:",
        f"wattscore certs trust {org}.pem --org {org} --dir certs",
        *(f"wattscore certs trust {other}.pem --org {other} --dir certs" for other in others),
        f"{command} serve --config {role}.toml      # stays; beside it, once all three run, nothing may fail:",
        f"{'wattscore' if role == 'coordinator' else command} doctor --config {role}.toml",
        *(["wattscore train plan.toml --watch"] if role == "bank" else []),
    ]
    return "\n".join([f"\nNext, at {org}:", *(f"  {line}" for line in lines)])
