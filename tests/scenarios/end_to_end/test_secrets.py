"""What the logs at their most talkative, the coordinator's files and the client's messages hold: nothing of anybody's rows."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from common.home.models import ModelStore
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.party import Party
from common.plan.score import ScorePlan
from tests.common.stages.plain import weights_of
from tests.scenarios.end_to_end.lab import Lab, dataset_files, make_plan, make_tables, succeed

PREFIX = "Жираф"
DEBUG = {"log_level": "DEBUG"}


@dataclass(frozen=True)
class Left:
    """What a training and a scoring job have left behind."""

    logs: dict[str, str]
    coordinator: bytes
    shown: str
    tables: list[pd.DataFrame]
    weights: np.ndarray[tuple[int], np.dtype[np.float64]]
    public: set[str]  # digests and what a client calls its requests, which look like secrets and are none


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("debug")
    with Lab(folder, dataset_files(folder, ("main",)), dict.fromkeys(("coordinator", "grid", "bank"), DEBUG)) as lab:
        tables = make_tables(PREFIX)
        lab.write("main", *tables)
        with lab.client() as client:
            trained = succeed(client, make_plan("main"))
            side = {"dataset": "main"}
            scored = succeed(client, ScorePlan.model_validate({"model": trained.id, "grid": side, "bank": side}))
            shown = f"{trained}{scored}{client.jobs()}"
        logs = {name: lab.written(name) for name in lab.processes}
        kept = b"".join(file.read_bytes() for file in lab.data("coordinator").rglob("*") if file.is_file())
        halves = {party: ModelStore(lab.data(party.value) / "models").load(trained.id) for party in Party}
        weights = [weights_of(halves, party) for party in Party]  # which nobody holds, so nobody can have told
        digests = {side.report.model_digest for side in (trained.grid, trained.bank)}
        requests = {job.submission for job in (trained, scored)}
        yield Left(logs, kept, shown, list(tables), np.concatenate(weights), digests | requests)


def test_the_logs_are_at_their_most_talkative(left: Left) -> None:
    assert all(" DEBUG " in text for text in left.logs.values())
    assert all(" done" in left.logs[name] for name in ("grid", "bank"))


def everything(left: Left) -> str:
    return "".join(left.logs.values()) + left.shown + left.coordinator.decode("latin-1")


def test_no_id(left: Left) -> None:
    forms = [PREFIX, PREFIX.lower(), PREFIX.upper()]
    forms += [form.encode().decode("latin-1") for form in forms] + [ascii(form)[1:-1] for form in forms]
    assert [form for form in forms if form in everything(left)] == []


def test_no_value_of_a_table_and_no_weight_in_figures(left: Left) -> None:
    figures = set(re.findall(r"\d+\.\d{3,}", everything(left)))
    values = {f"{abs(v):.6f}".rstrip("0") for table in left.tables for v in table.select_dtypes("float").to_numpy().ravel()}
    values |= {repr(abs(float(w))) for w in left.weights} | {f"{abs(w):.6f}" for w in left.weights}
    assert len(values) > 10_000
    assert not figures & values


def test_no_value_of_a_table_and_no_weight_in_bytes(left: Left) -> None:
    data = left.coordinator
    held = {data[i : i + 8] for i in range(len(data) - 7)}
    values = [v for table in left.tables for v in table.select_dtypes("float").to_numpy().ravel()]
    for form in (np.array([*values, *left.weights], "<f8"), np.rint(left.weights * 2.0**WEIGHT_SCALE).astype("<i8")):
        assert not held & {struct.pack("<q", word) for word in form.view("<i8").tolist() if word}


def test_no_seed(left: Left) -> None:
    """Seeds are 16 bytes or more: no run of as many hexadecimal digits but of digests and requests, and no key."""
    found = set(re.findall(r"[0-9a-f]{32,}", everything(left)))
    assert found <= left.public
    assert "PRIVATE KEY" not in everything(left)
