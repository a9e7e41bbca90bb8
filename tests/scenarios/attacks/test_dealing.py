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

    file, noted = kept(lab, "bank", job)  # as if another array had come
    kind, number, _ = noted["arrays"][7]
    noted["arrays"][7][2] = "00" * 16
    file.write_text(json.dumps(noted))
    opened(lab, "bank", job, tmp_path)
    code, text = replayed(tmp_path)
    assert code == 1 and f"array 8 to the bank: {kind}/{number}, " in text, text

    file, noted = kept(lab, "grid", job)  # another seed than the dealer committed itself to
    file.write_text(json.dumps(noted | {"dealt": "00" * 32}))
    opened(lab, "grid", job, tmp_path)
    code, text = replayed(tmp_path)
    assert code == 1 and "the grid opens another seed" in text and "compared" not in text, text
