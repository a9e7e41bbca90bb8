"""`wattscore demo` with real daemons, on one machine and through others: from dirty records to decisions and report."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shlex
import signal
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import bank_party.__main__
import grid_party.__main__
from common.cli import main
from common.config import to_toml
from common.errors import ConfigError
from common.party import Party
from common.trial.demo import SETTINGS, build_side, lay_out
from common.trial.demo_cli import collect
from common.trial.processes import Trial
from tests.patience import patience


def test_from_dirty_records_to_decisions(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "decisions.csv").write_text("of an earlier run")
    before = signal.getsignal(signal.SIGTERM)
    try:
        run = CliRunner().invoke(main, ["demo", "--out", str(out), "--enterprises", "1400"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert run.exit_code == 0, run.output
    for party, module in ((Party.GRID, grid_party.__main__), (Party.BANK, bank_party.__main__)):
        config = out / "daemons" / f"{party.value}.toml"
        assert str(out / party.value / "history.parquet") in config.read_text() and ".demo-" not in config.read_text()
        assert "train-" in CliRunner().invoke(module.main, ["models", "--config", str(config)]).output
    _look_again(out, run.output.splitlines()[-1])
    result = json.loads((out / "result.json").read_text())
    assert result["rows"] | {"grid": 0, "bank": 0} == {"grid": 0, "bank": 0, "matched": 8330, "train": 5950, "test": 2380}
    assert result["auc_difference"]["low"] > 0.03
    opened = {d["value"] for d in result["disclosures"]}
    assert opened >= {"test_scores", "scores"} and not opened & {"grid_weights", "bank_weights", "grid_reasons"}
    decided = pd.read_csv(out / "decisions.csv", keep_default_na=False)
    assert set(decided["period"]) == {"2025-12"} and decided["id"].is_unique and len(decided) == 1190
    assert set(decided["decision"]) == {"approve", "refer", "decline"}
    said = decided["reasons"].str.split("; ").explode()
    assert "Earlier overdue repayments" in set(said) and not any("lectricity" in text for text in said)
    assert (decided["reasons"].str.split("; ").map(lambda r: len(r) == len(set(r)))).all()
    assert np.corrcoef(decided["u"], decided["score"])[0, 1] < -0.99
    assert all((out / side / "quality.html").exists() for side in ("grid", "bank"))
    for side, field in (("grid", "arrears_amount"), ("bank", "loan_amount")):
        alarms, heard = result["alarms"][side], result["drift"][side]
        assert {(a["what"], a["month"], a["model"]) for a in alarms} == {("psi", "2026-06", result["job"])}
        assert len(alarms) >= 3 and all(field in a["feature"] for a in alarms)
        assert heard == {"largest_psi": round(max(a["value"] for a in alarms), 2), "alarms": len(alarms)}
        watched = (out / side / "monitor.html").read_text()
        assert all(a["feature"] in watched and a["feature"] in run.output for a in alarms) and "2026-06" in watched
    page = (out / "report.html").read_text()
    assert result["job"] in page and "2025-09" in page
    shown = np.array([float(text) for text in re.findall(r"\b0\.\d{4}\b", page)])
    assert np.abs(shown - result["auc"]["joint"]).min() < 1e-4  # rounded to four places here, to five there
    assert f"{result['auc']['joint']:.3f}" in run.output and "1,190 enterprises" in run.output


def _look_again(out: Path, line: str) -> None:
    """The demo's last line, as it is copied, opens the pages of all three, and leaves nothing running."""
    command = [str(Path(sys.executable).with_name("wattscore")), *shlex.split(line)[1:]]
    assert shlex.split(line) == ["wattscore", "demo-console", "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stdin is not None
        try:
            shown = [run.stdout.readline() for _ in range(7)]
            for name, link, told in zip(("bank", "grid", "coordinator"), shown[:6:2], shown[1:6:2], strict=True):
                assert link.startswith(f"{name}: https://127.0.0.1:")
                page, fingerprint = _page(link.split()[1])
                assert fingerprint in told and "train-" in page
            busy = CliRunner().invoke(main, ["demo", "--out", str(out)])
            assert busy.exit_code == 2 and "is in use by process" in " ".join(busy.output.split())
        finally:
            run.send_signal(signal.SIGTERM)
        assert run.stdout.read() == "The three processes have ended.\n" and run.wait() == 0


def _page(link: str) -> tuple[str, str]:
    """The first page behind a link that logs in, and the SHA-256 of the server's certificate."""
    unknown = ssl.create_default_context()
    unknown.check_hostname, unknown.verify_mode = False, ssl.CERT_NONE
    host, _, port = link.split("/")[2].partition(":")
    client = http.client.HTTPSConnection(host, int(port), context=unknown, timeout=patience(30))
    with closing(client):
        client.request("GET", "/" + link.split("/", 3)[3])
        with client.getresponse() as answer:
            cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        client.request("GET", "/en/", headers={"Cookie": cookie})
        page = client.getresponse().read().decode()
        seen = client.sock.getpeercert(binary_form=True)
    return page, hashlib.sha256(seen).digest().hex(":").upper()


def test_a_demo_that_is_interrupted_leaves_the_earlier_one_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank").mkdir()
    earlier = [tmp_path / name for name in ("report.html", "decisions.csv", "bank/monitor.html")]
    for file in earlier:
        file.write_text("of an earlier run")

    def interrupted(homes: dict[Party, Path], enterprises: int, seed: int) -> None:
        (homes[Party.BANK] / "monitor.html").write_text("half a page")
        raise KeyboardInterrupt

    monkeypatch.setattr("common.trial.demo_cli.lay_out", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    try:
        run = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert run.exit_code != 0
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == set(earlier)
    assert {file.read_text() for file in earlier} == {"of an earlier run"}


def test_through_daemons_that_run_the_bank_alone_has_the_decisions(tmp_path: Path) -> None:
    homes = {party: tmp_path / party.value for party in Party}
    for home in homes.values():
        home.mkdir()
    lay_out(homes, enterprises=1400, seed=3)
    datasets = {party.value: build_side(party, home).datasets for party, home in homes.items()}
    out = tmp_path / "out"
    with Trial(tmp_path / "trial", datasets, SETTINGS) as trial, trial.client():
        run = CliRunner().invoke(main, ["demo", "--out", str(out), "--through", str(trial.folder / "client.toml")])
        assert run.exit_code == 0, run.output
        assert "drift alarms" in run.output and "loan_amount" not in run.output
    assert {file.name for file in out.iterdir()} == {"result.json"}
    run = CliRunner().invoke(main, ["collect-demo", "--config", str(trial.folder / "bank.toml"), "--out", str(out)])
    assert run.exit_code == 0 and "1,190 enterprises" in run.output
    assert "loan_amount_last" in run.output and "arrears_amount" not in run.output  # the grid's names stay there
    assert "2026-06" in (out / "monitor.html").read_text()
    scores = trial.folder / "bank-data" / "scores" / f"{json.loads((out / 'result.json').read_text())['decisions']}.csv"
    assert (out / "decisions.csv").read_bytes() == scores.read_bytes()
    assert {(out / name).stat().st_mode & 0o777 for name in ("decisions.csv", "report.html", "monitor.html")} == {0o644}
    assert scores.stem not in (page := (out / "report.html").read_text()) and page.count("train-") > 0


def test_nothing_to_collect_is_said(tmp_path: Path) -> None:
    who = {"identity": "wattscore://neutral/coordinator", "address": "127.0.0.1:1"}
    tls = {"certificate": "own.pem", "key": "own.key", "trust": "trust"}
    config = tmp_path / "bank.toml"
    config.write_text(to_toml({"data": "var", "tls": tls, "coordinator": who, "peer": who}))
    with pytest.raises(ConfigError, match="Run the demo first"):
        collect(config, tmp_path)
