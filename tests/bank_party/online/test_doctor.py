"""What the doctor says of `[online]`: of files that are wrong, and of stocks that end soon."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bank_party.online import stocks as stocks_module
from bank_party.online.doctor import check_online
from bank_party.settings import BankSettings
from common.config import validate
from common.doctor.finding import Finding, Machine, Status
from common.home.registry import Registry
from tests.common.web.pki import Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    for name in ("online", "other"):
        pki.issue(name)
    return pki


def found(folder: Path, pki: Pki, machine: Machine | None = None, **changed: Any) -> dict[str, Finding]:
    online = {
        "listen": "127.0.0.1:7443",
        "certificate": pki.folder / "online.pem",
        "key": pki.folder / "online.key",
        "trust": pki.folder / "ca.pem",
        "clients": ["loan-desk"],
        "grid_dataset": "meters",
        "bank_dataset": "applicants",
        **changed,
    }
    raw = {
        "data": folder / "data",
        "tls": {"certificate": "c", "key": "k", "trust": "t"},
        "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "127.0.0.1:1"},
        "peer": {"identity": "wattscore://volt/grid-party", "address": "127.0.0.1:2"},
        "datasets": {"applicants": {"path": folder / "rows.csv", "id": "id"}},
        "online": online,
    }
    settings = validate(BankSettings, raw, "test")
    return {finding.check: finding for finding in check_online(settings, machine or Machine())}


def test_files_that_are_right_pass_and_nothing_is_said_where_it_is_off(tmp_path: Path, pki: Pki) -> None:
    checks = found(tmp_path, pki)
    assert {check: one.status for check, one in checks.items()} == {
        "online certificate": Status.WARN,  # of 30 days
        "online callers": Status.WARN,
    }
    assert not (tmp_path / "data").exists()
    late = replace(Machine(), now=lambda: datetime.now(UTC) + timedelta(days=40))
    assert found(tmp_path, pki, late)["online certificate"].status is Status.FAIL


@pytest.mark.parametrize(
    ("changed", "check", "text"),
    [
        ({"key": "other.key"}, "online certificate", "is not the key of"),
        ({"certificate": "none.pem"}, "online certificate", "none.pem"),
        ({"certificate": "online.key"}, "online certificate", "online.key"),
        ({"trust": "online.key"}, "online callers", "online.key"),
        ({"bank_dataset": "loans"}, "online dataset", "loans"),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(tmp_path: Path, pki: Pki, changed: dict[str, str], check: str, text: str) -> None:
    wrong = {name: value if name == "bank_dataset" else pki.folder / value for name, value in changed.items()}
    finding = found(tmp_path, pki, **wrong)[check]
    assert finding.status is Status.FAIL and text in finding.found and finding.remedy


@pytest.mark.parametrize(
    ("stocks", "status"), [([], Status.WARN), ([100], Status.WARN), ([5000], Status.WARN), ([5000, 5000], Status.PASS)]
)
def test_stocks_that_end_soon_are_told(
    tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch, stocks: list[int], status: Status
) -> None:
    (tmp_path / "data").mkdir()
    assert found(tmp_path, pki)["online model"].status is Status.WARN  # none is champion

    class Closed:
        closed, learner, coefficients = True, "linear", None

    monkeypatch.setattr(Registry, "champion", property(lambda self: "job-1"))
    monkeypatch.setattr("common.home.models.ModelStore.load", lambda self, job: Closed())
    monkeypatch.setattr(stocks_module, "usable", lambda *_: [SimpleNamespace(rows=rows, reasons=0) for rows in stocks])
    checks = found(tmp_path, pki)
    assert checks["online model"].found == "job-1" and checks["online stocks"].status is status


def test_a_challenger_is_looked_at_too(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    shadow = {"model": "job-2"}
    assert found(tmp_path, pki, shadow=shadow)["online challenger"].status is Status.FAIL  # there is no such model
    assert "online challenger" not in found(tmp_path, pki)

    class Closed:
        closed, learner, coefficients = True, "linear", None

    stocks = {"job-1": ["one"], "job-2": ["one"]}  # what each model could use
    monkeypatch.setattr(Registry, "champion", property(lambda self: "job-1"))
    monkeypatch.setattr("common.home.models.ModelStore.load", lambda self, job: Closed())
    monkeypatch.setattr(
        stocks_module, "_usable", lambda home, job, rows: [SimpleNamespace(rows=5000, one=k, reasons=0) for k in stocks[job]]
    )
    told = found(tmp_path, pki, shadow=shadow)["online challenger"]
    assert told.status is Status.WARN and "for the champion" in told.found
    stocks["job-2"].append("two")  # of other columns: the challenger takes the first one still
    assert found(tmp_path, pki, shadow=shadow)["online challenger"].status is Status.WARN
    stocks["job-1"].append("three")
    assert found(tmp_path, pki, shadow=shadow)["online challenger"].status is Status.PASS
    assert "is the champion by now" in found(tmp_path, pki, shadow=shadow, model="job-2")["online challenger"].found
    monkeypatch.setattr(Registry, "champion", property(lambda self: "job-2"))
    assert "is the champion by now" in found(tmp_path, pki, shadow=shadow)["online challenger"].found
