"""`wattscore setup-demo`: what each process of the demo in containers finds in its own volume, and nobody else's.

FOLDER/grid, FOLDER/bank, FOLDER/coordinator and FOLDER/client are the volumes, FOLDER/bank-2 and FOLDER/bank-3 those of two
banks more. Each gets its configuration, its own certificate and key with the CA certificates it trusts, and the parties their
synthetic records, the features made of them and the report on their quality; each of the three banks also its share of the
first one's enterprises, for a model of three. The CAs' keys are not kept.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pandas as pd

from common.config import to_toml
from common.errors import ConfigError
from common.party import Identity, Party
from common.trial.demo import HISTORY, NEW, SETTINGS, build_side, lay_out, training_plan
from common.trial.demo_banks import SHARE, SHARE_NEW, enterprises_of_each, plans, share_of
from common.trial.processes import BANK, CLIENT, COORDINATOR, GRID, make_certificates, more_bank

MORE_BANKS = ("bank-2", "bank-3")
BANKS: Mapping[str, Identity] = {"bank": BANK} | {name: more_bank(name) for name in MORE_BANKS}
WHO: Mapping[str, Identity] = {"grid": GRID, **BANKS, "coordinator": COORDINATOR, "client": CLIENT}
GRID_PORT, COORDINATOR_PORT, HEALTH_PORT = 7001, 7000, 7002


@click.command("setup-demo")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--enterprises", default=4000, show_default=True, help="Size of the synthetic world.")
@click.option("--seed", default=7, show_default=True, help="Of the synthetic world.")
def setup_demo(folder: Path, enterprises: int, seed: int) -> None:
    """Fill the volumes in FOLDER for the demo in containers: /grid, /bank, /coordinator, /client and so on; once only."""
    homes = {name: folder / name for name in WHO}
    done = [name for name, home in homes.items() if _config(home, name).exists()]
    if len(done) == len(homes):
        click.echo(f"{folder} is set up already")
        return
    if done:
        raise ConfigError(f"{folder}: only {', '.join(done)} is set up", remedy="Remove all the volumes and set up again.")
    with tempfile.TemporaryDirectory(prefix="wattscore-") as scratch:
        _place_certificates(Path(scratch), homes)
    datasets = _place_features(homes, enterprises, seed)
    plan, (banks_plan, _) = training_plan().model_dump(mode="json", exclude_defaults=True), plans([*map(str, BANKS.values())])
    for name, one in (("plan", plan), ("plan-banks", banks_plan)):
        (homes["client"] / f"{name}.toml").write_text(to_toml(one), encoding="utf-8")
    for name, values in configurations(datasets).items():  # last: a configuration says that all else is there
        _config(homes[name], name).write_text(to_toml(values), encoding="utf-8")
    click.echo(f"a synthetic world of {enterprises} enterprises, certificates and configurations are in {folder}")


def configurations(datasets: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each process's configuration as a mapping; paths are relative to its home, hosts are the services' names.

    datasets: those of each party.
    """
    coordinator = {"identity": str(COORDINATOR), "address": f"coordinator:{COORDINATOR_PORT}"}
    more = [str(BANKS[name]) for name in MORE_BANKS]
    banks = {
        name: {
            "listen": f"127.0.0.1:{HEALTH_PORT}",  # for its own health check; nobody can dial a bank
            "data": "data",
            "tls": _tls(name),
            "coordinator": coordinator,
            "peer": {"identity": str(GRID), "address": f"grid:{GRID_PORT}"},
            "datasets": datasets[name],
            **(SETTINGS["bank"] if name == "bank" else {"decision": {"exposure": SETTINGS["bank"]["decision"]["exposure"]}}),
            "policy": {**SETTINGS["bank"]["policy"], "with_banks": [str(who) for other, who in BANKS.items() if other != name]},
        }
        for name in BANKS
    }
    return banks | {
        "coordinator": {
            "listen": f"0.0.0.0:{COORDINATOR_PORT}",
            "data": "data",
            "grid": str(GRID),
            "bank": str(BANK),
            "more_banks": more,
            "clients": [str(CLIENT)],
            "tls": _tls("coordinator"),
        },
        "grid": {
            "listen": f"0.0.0.0:{GRID_PORT}",
            "data": "data",
            "tls": _tls("grid"),
            "coordinator": coordinator,
            "peer": {"identity": str(BANK)},
            "more_banks": more,
            "datasets": datasets["grid"],
            **SETTINGS["grid"],
        },
        "client": {"tls": _tls("client"), "coordinator": coordinator},
    }


def _config(home: Path, name: str) -> Path:
    return home / ("bank.toml" if name in BANKS else f"{name}.toml")


def _tls(name: str) -> dict[str, str]:
    role = WHO[name].role
    return {"certificate": f"certs/{role}.pem", "key": f"certs/{role}.key", "trust": "certs/trust"}


def _place_certificates(scratch: Path, homes: Mapping[str, Path]) -> None:
    make_certificates(scratch / "certs", MORE_BANKS)
    for name, who in WHO.items():
        source, target = scratch / "certs" / who.org, homes[name] / "certs"
        shutil.rmtree(target, ignore_errors=True)  # of a set-up that was cut short
        shutil.copytree(source / "trust", target / "trust")
        for file in (f"{who.role}.pem", f"{who.role}.key"):
            shutil.copy2(source / file, target / file)


def _place_features(homes: Mapping[str, Path], enterprises: int, seed: int) -> dict[str, Any]:
    """Each party's records and features into its own home; its datasets, paths relative to that."""
    lay_out({party: homes[party.value] for party in Party}, enterprises, seed)
    sides = {party: build_side(party, homes[party.value]) for party in Party}
    found = {
        side.party.value: {name: {**found, "path": Path(found["path"]).name} for name, found in side.datasets.items()}
        for side in sides.values()
    }
    shares = _place_shares(homes, sides[Party.BANK].datasets, seed)
    return {name: found.get(name, {}) | shares.get(name, {}) for name in ("grid", *BANKS)}


def _place_shares(homes: Mapping[str, Path], datasets: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Each bank's share of the first one's `datasets` into its own home."""
    tables = {SHARE: datasets[HISTORY], SHARE_NEW: datasets[NEW]}
    whole = {name: pd.read_parquet(dataset["path"]) for name, dataset in tables.items()}
    every = enterprises_of_each(whole[SHARE], seed)
    found: dict[str, Any] = {name: {} for name in BANKS}
    for bank, enterprises in zip(BANKS, every, strict=True):
        for name, dataset in tables.items():
            part = share_of(whole[name], enterprises)
            part.to_parquet(homes[bank] / f"{name}.parquet", index=False)
            columns = {column: how for column, how in dataset["columns"].items() if column in part.columns}
            found[bank][name] = {**dataset, "path": f"{name}.parquet", "columns": columns}
    return found
