"""The pages of deploy/grid, deploy/bank and deploy/coordinator, typed as they stand by three organisations that share nothing
but three lines: at the end there is the model that `wattscore try` makes of the same two tables."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from common.cli import main
from common.home.models import ModelStore
from common.home.outcome import EVALUATION, parse_evaluation
from common.learn.learner import Half
from common.party import Party
from common.records.make import make_features
from common.rows.dataset import DatasetConfig, read_table
from common.trial.world import ID, MONTH, make_world, world_config
from tests.common.stages.plain import plain_part
from tests.pages import typed_elsewhere
from tests.patience import patience
from tests.scenarios.separate.land import Place, land
from tests.scenarios.separate.pages import (
    CONFIGURATION,
    DATA,
    DRY_RUN,
    KEYS,
    ROTATE,
    START,
    TRAIN,
    TRUST,
    blocks,
    of_a_machine,
)

T = TypeVar("T")
ORGS = {"grid": "acme-grid", "bank": "acme-bank", "coordinator": "neutral"}
CERTIFICATES = {"grid": "grid-party", "bank": "bank-party", "coordinator": "coordinator"}
FAILED = re.compile(r"^ *fail +(\S.*?)  ", re.MULTILINE)
FINGERPRINT = re.compile(r"fingerprint +((?:[0-9A-F]{2}:){31}[0-9A-F]{2})")


@pytest.mark.usefixtures("namespaces")
def test_the_pages_lead_to_the_model_of_try(tmp_path: Path) -> None:
    tables = exports(tmp_path)
    words: list[str | Path] = [
        "try", "--grid", tables["grid"], "--bank", tables["bank"], "--key", ID, "--label", "overdue_next_month",
        "--period", MONTH, "--keep", tmp_path / "kept", "--json", tmp_path / "try.json",
    ]  # fmt: skip
    alone = CliRunner().invoke(main, [*map(str, words)])
    assert alone.exit_code == 0, alone.output
    with land() as places:
        for name, table in tables.items():
            (places[name].home / "export.csv").write_bytes(table.read_bytes())
        exchange_trust(places)
        each(places, prepare)
        for place in places.values():
            place.begin(START)
        in_order(places)
        said = places["bank"].follow(TRAIN)
        job = json.loads(places["bank"].run("wattscore jobs --json"))[-1]
        assert (job["state"], job["kind"]) == ("succeeded", "train") and "AUC gained" in said
        result = json.loads(places["bank"].run(f"wattscore show {job['id']} --json"))
        each(places, rotate)
        compare(places, tmp_path, job["id"], result)
        for place in places.values():
            left = [line for line in place.untyped() if not typed_elsewhere(line)]
            assert [line for line in left if not of_a_machine(line)] == [], place.role


def exchange_trust(places: dict[str, Place]) -> None:
    """Keys, bundles, and the telephone: what each reads out is what the others see."""
    told = dict(zip(places, each(places, lambda place: FINGERPRINT.findall(place.follow(KEYS))[0]), strict=True))
    for role, place in places.items():
        for other in places.values():
            if other is not place:
                (other.home / f"{ORGS[role]}.pem").write_bytes((place.home / f"{ORGS[role]}.pem").read_bytes())
    for role, heard in zip(places, each(places, lambda place: FINGERPRINT.findall(place.follow(TRUST))), strict=True):
        assert sorted(heard) == sorted(fingerprint for other, fingerprint in told.items() if other != role)
    assert len(set(told.values())) == 3


def exports(folder: Path) -> dict[str, Path]:
    """A table of each company, as CSV."""
    make_world(folder, enterprises=1500, seed=7)
    for party in Party:
        make_features(world_config(party, folder), folder / f"{party.value}.parquet")
        pd.read_parquet(folder / f"{party.value}.parquet").to_csv(folder / f"{party.value}.csv", index=False)
    return {party.value: folder / f"{party.value}.csv" for party in Party}


def each(places: dict[str, Place], act: Callable[[Place], T]) -> list[T]:
    """The three act at the same time, as organisations do."""
    with ThreadPoolExecutor() as hands:
        return list(hands.map(act, places.values()))


def prepare(place: Place) -> None:
    """Configuration, data, and the dry run before anybody runs: as the page says, only others' ports may fail."""
    place.follow(CONFIGURATION)
    if blocks(place.role)[DATA]:
        place.follow(DATA)
    failed = FAILED.findall(place.follow(DRY_RUN, code=0 if place.role == "coordinator" else 1))
    dialled = {"grid": ["coordinator port"], "bank": ["coordinator port", "grid port"], "coordinator": []}
    assert sorted(failed) == dialled[place.role], place.role


def in_order(places: dict[str, Place]) -> None:
    """Once all three run, nothing fails any more, wherever the doctor is asked."""
    end = time.monotonic() + patience(40)
    while not all("attending" in places[party].log() for party in ("grid", "bank")):
        assert time.monotonic() < end, "".join(place.log() for place in places.values())
        time.sleep(0.1)
    each(places, lambda place: place.follow(START, block=2))


def rotate(place: Place) -> None:
    """A new certificate while the daemon runs, which the doctor is then shown by the daemon itself."""
    certificate = place.home / "certs" / f"{CERTIFICATES[place.role]}.pem"
    before = certificate.read_bytes()
    place.follow(ROTATE)  # ends with a dry run that must pass
    assert certificate.read_bytes() != before


def compare(places: dict[str, Place], folder: Path, job: str, result: dict[str, Any]) -> None:
    """The same columns and weights, but for rounding at random; the same metrics."""
    expected = json.loads((folder / "try.json").read_text())
    apart = {p: ModelStore(places[p.value].home / "data" / "models").load(job) for p in Party}
    alone = {p: ModelStore(folder / "kept" / f"{p.value}-data" / "models").load(expected["job"]) for p in Party}
    for party in Party:
        assert apart[party].columns == alone[party].columns
        same_scores(apart, alone, party, places[party.value].home / "export.csv")
    file = places["bank"].home / "data" / "models" / job / EVALUATION  # others hear of it in steps
    found = parse_evaluation(file.read_bytes()).joint
    for metric, digits in (("auc", 2e-3), ("logloss", 1e-3)):
        assert getattr(found, metric) == pytest.approx(expected[metric]["joint"], abs=digits)
    assert int(result["bank"]["report"]["counts"]["test_rows"]) == expected["rows"]["test"]


def same_scores(one: Mapping[Party, Half], two: Mapping[Party, Half], party: Party, path: Path) -> None:
    """This side's part of u, put together from both halves, differs by what rounding in training explains."""
    declared = DatasetConfig(path=path, id=ID, period=MONTH, columns=one[party].source)
    table = read_table(declared, name="table", party=party).table
    u = plain_part(one, party, table)
    difference = u - plain_part(two, party, table)
    assert float(np.sqrt(np.mean(difference**2))) < 0.02 and float(np.std(u)) > 0.2
