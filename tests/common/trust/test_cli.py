"""`wattscore certs trust`: whose fingerprint is to be compared by telephone."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from common.cli import main
from common.party import Identity
from common.trust.authority import export_bundle, issue, make_ca


def trust(file: Path, org: str, folder: Path) -> str:
    done = CliRunner().invoke(main, ["certs", "trust", str(file), "--org", org, "--dir", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output


def test_nobody_is_told_to_telephone_themselves(tmp_path: Path) -> None:
    for org in ("acme-bank", "acme-grid"):
        make_ca(org, tmp_path / org)
        export_bundle(tmp_path / org)
    issue(tmp_path / "acme-bank", Identity("acme-bank", "bank-party"), certs := tmp_path / "certs")
    other, own = (trust(tmp_path / org / f"{org}.pem", org, certs) for org in ("acme-grid", "acme-bank"))
    assert "Compare this fingerprint with acme-grid by telephone" in other
    assert "telephone" not in own and "fingerprint" in own
