"""A dealing in dispute, by three organisations' commands: files of both parties, and a machine that has nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from common.cli import main
from common.client.client import Client
from common.disk.data_folder import Name
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.trust.authority import issue, make_ca
from tests.scenarios.attacks.test_account import audit, entries
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables, succeed


def opened(lab: Lab, name: str, job: str, folder: Path) -> Path:
    """What this party seals for the auditor."""
    out = folder / f"{name}.sealed"
    done = audit(lab, name, "open", job, str(out), "--to", str(folder / "auditor.pem"))
    assert done.exit_code == 0 and "auditor alone" in done.stdout, done.stderr
    return out


def replayed(folder: Path) -> tuple[int, str]:
    names = [str(folder / f"{name}.sealed") for name in ("grid", "bank")]
    done = CliRunner().invoke(main, ["audit", *names, "--key", str(folder / "auditor.key")])
    return done.exit_code, done.output


def kept(lab: Lab, name: str, job: str) -> tuple[Path, dict[str, Any]]:
    file = lab.data(name) / Name.DEALT / f"{job}.0.json"
    return file, json.loads(file.read_bytes())


def another_array(lab: Lab, job: str) -> tuple[str, int]:
    """As if the bank had been dealt another eighth array: its kind and number."""
    file, noted = kept(lab, "bank", job)
    kind, number, _ = noted["arrays"][7]
    noted["arrays"][7][2] = "00" * 16
    file.write_text(json.dumps(noted))
    return kind, number


def test_an_auditor_deals_anew_and_names_the_first_array_that_is_another(lab: Lab, client: Client, tmp_path: Path) -> None:
    make_ca("judge", tmp_path / "ca")
    issue(tmp_path / "ca", Identity("judge", "auditor"), tmp_path)
    lab.write("rows", *make_tables("D"))
    job = succeed(client, make_plan("rows")).id
    for name in ("grid", "bank"):
        assert opened(lab, name, job, tmp_path).stat().st_mode & 0o077 == 0
    code, text = replayed(tmp_path)
    assert code == 0 and "arrays compared, each is what the opened seeds give" in text, text
    for name in ("grid", "bank"):
        found = entries(lab, name, job)
        (told,) = [entry["dealt"] for entry in found if entry["what"] == "end"]
        assert f"{name}: opening {told}, " in text
        assert [entry["kind"] for entry in found if entry["what"] == "open"][-1] == "audit"  # that it was opened, to whom
        _, noted = kept(lab, name, job)
        assert not any(secret in text for secret in (noted["dealt"], noted["nonce"]))

    kind, number = another_array(lab, job)
    opened(lab, "bank", job, tmp_path)
    code, text = replayed(tmp_path)
    assert code == 1 and f"array 8 to the bank: {kind}/{number}, " in text, text

    file, noted = kept(lab, "grid", job)  # another seed than the dealer committed itself to
    file.write_text(json.dumps(noted | {"dealt": "00" * 32}))
    opened(lab, "grid", job, tmp_path)
    code, text = replayed(tmp_path)
    assert code == 1 and "the grid opens another seed" in text and "compared" not in text, text


def test_what_a_training_took_from_a_stock_is_dealt_anew(lab: Lab, client: Client, tmp_path: Path) -> None:
    make_ca("judge", tmp_path / "ca")
    issue(tmp_path / "ca", Identity("judge", "auditor"), tmp_path)
    lab.write("after", *make_tables("E"))
    model, sizes = {"iterations": 12}, {"rows": 1100, "grid_columns": 14, "bank_columns": 5}
    plan = make_plan("after", model=model, dealt="ahead")
    stock = succeed(client, PredealPlan.model_validate({"model": model, **sizes})).id

    early = audit(lab, "grid", "open", stock, str(tmp_path / "early"), "--to", str(tmp_path / "auditor.pem"))
    assert early.exit_code == 2 and f"stock {stock} is not used up" in early.stderr and not (tmp_path / "early").exists()

    job = succeed(client, plan).id
    for name in ("grid", "bank"):
        opened(lab, name, job, tmp_path)
        found = entries(lab, name, job)
        kinds = [entry["what"] for entry in found]
        (taken,) = [entry for entry in found if entry["what"] == "take"]
        assert taken["stock"] == stock and kinds.index("peer") < kinds.index("take") < kinds.index("end")
        (dealt,) = [entry["dealt"] for entry in entries(lab, name, stock) if entry["what"] == "end"]
        assert taken["dealt"] == dealt
        assert [entry["stocks"] for entry in found if entry.get("value") == "seed"] == [[stock]]
        audit(lab, name, "verify")
    code, text = replayed(tmp_path)
    assert code == 0 and f"stock {stock}, which job {job} took: " in text and f"job {job}: " in text, text
    assert "not among them" not in text

    kind, number = another_array(lab, stock)
    opened(lab, "bank", job, tmp_path)
    code, text = replayed(tmp_path)
    assert code == 1 and f"stock {stock}, which job {job} took: array 8 to the bank: {kind}/{number}, " in text, text
    assert f"job {job}: " in text and "arrays compared, each is what the opened seeds give" in text


def test_a_stock_that_nobody_used_is_opened_where_both_give_it_up(lab: Lab, client: Client, tmp_path: Path) -> None:
    make_ca("judge", tmp_path / "ca")
    issue(tmp_path / "ca", Identity("judge", "auditor"), tmp_path)
    plan = {"serves": "scores", "rows": 200, "grid_columns": 14, "bank_columns": 5}
    stock = succeed(client, PredealPlan.model_validate(plan)).id
    for name in ("grid", "bank"):
        out = str(tmp_path / f"{name}.sealed")
        done = audit(lab, name, "open", stock, out, "--to", str(tmp_path / "auditor.pem"), "--discard")
        assert done.exit_code == 0, done.stderr
        assert not (lab.data(name) / "stock" / f"{stock}.stock").exists()
    code, text = replayed(tmp_path)
    assert code == 0 and f"job {stock}: " in text and "arrays compared" in text, text
