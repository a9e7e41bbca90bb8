"""Grants: signed by an organisation's CA, read only with a good signature, and what they cover."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from common.errors import IdentityError, PolicyError
from common.trust.authority import TrustStore, export_bundle, import_bundle, make_ca
from common.trust.grant import Grant, read_grant, sign

RAW: dict[str, Any] = {
    "org": "volt", "to": "acme", "dataset": "meters", "purpose": "credit of small firms", "columns": ("kwh", "late"),
    "first_month": "2024-01", "last_month": "2024-12", "jobs_per_month": 3, "expires": date(2026, 12, 31),
}  # fmt: skip


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CAs of volt and of evil, and the trust of somebody who knows volt."""
    folder = tmp_path_factory.mktemp("certs")
    for org in ("volt", "evil"):
        make_ca(org, folder / org)
    import_bundle(export_bundle(folder / "volt"), folder / "trust", "volt")
    return folder


def written(certs: Path, folder: Path, **more: Any) -> Path:
    file = folder / "meters.grant"
    file.write_bytes(sign(Grant.model_validate({**RAW, **more}), certs / "volt"))
    return file


def test_a_grant_is_read_back_as_it_was_signed_with_a_fingerprint_of_its_own(certs: Path, tmp_path: Path) -> None:
    grant = read_grant(written(certs, tmp_path), TrustStore(certs / "trust"))
    assert grant.outside(["kwh", "name", "late"]) == ["name"] and grant.covers("2024-12") and not grant.covers("2025-01")
    again = read_grant(written(certs, tmp_path, serial=grant.serial), TrustStore(certs / "trust"))
    assert again.fingerprint() == grant.fingerprint()
    assert read_grant(written(certs, tmp_path), TrustStore(certs / "trust")).fingerprint() != grant.fingerprint()


def test_scores_a_row_are_signed_and_a_grant_without_is_as_it_was_before_there_were_any(certs: Path, tmp_path: Path) -> None:
    file, trust = written(certs, tmp_path), TrustStore(certs / "trust")
    before = json.loads(file.read_bytes())
    assert "scores_per_row" not in before["grant"] and read_grant(file, trust).scores_per_row is None
    file = written(certs, tmp_path, scores_per_row=3)
    assert read_grant(file, trust).scores_per_row == 3
    raw = json.loads(file.read_bytes())
    file.write_text(json.dumps({**raw, "grant": {**raw["grant"], "scores_per_row": 4}}))
    with pytest.raises(PolicyError, match="not signed"):
        read_grant(file, trust)


def test_nothing_of_it_can_be_changed_and_nobody_else_signs_it(certs: Path, tmp_path: Path) -> None:
    file, trust = written(certs, tmp_path), TrustStore(certs / "trust")
    raw = json.loads(file.read_bytes())
    changes = {"columns": ["*"], "expires": "2999-01-01", "to": "evil", "jobs_per_month": 30, "last_month": None}
    changes |= {"serial": "0" * 32}
    assert set(changes) <= set(raw["grant"])
    for key, value in changes.items():
        file.write_text(json.dumps({**raw, "grant": {**raw["grant"], key: value}}))
        with pytest.raises(PolicyError, match="not signed by the CA that is trusted for volt") as caught:
            read_grant(file, trust)
        assert caught.value.public == "a grant that its organisation has not signed"
    with pytest.raises(IdentityError, match="does not grant for volt"):
        sign(Grant.model_validate(RAW), certs / "evil")
    file.write_bytes(sign(Grant.model_validate({**RAW, "org": "evil"}), certs / "evil"))
    with pytest.raises(IdentityError, match="organisation 'evil' is unknown"):
        read_grant(file, trust)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"grant": {}, "signature": ""}', '{"grant": 1, "signature": "x"}'])
def test_what_is_no_grant_is_refused(text: str, certs: Path, tmp_path: Path) -> None:
    (tmp_path / "g").write_text(text)
    with pytest.raises(PolicyError, match="not a grant of this release"):
        read_grant(tmp_path / "g", TrustStore(certs / "trust"))
    with pytest.raises(PolicyError, match="withdrawn, or never put here"):
        read_grant(tmp_path / "none", TrustStore(certs / "trust"))


@pytest.mark.parametrize(
    "wrong",
    [{"first_month": "2025-01"}, {"last_month": "2024-13"}, {"to": "volt"}, {"kinds": ()}, {"purpose": ""}, {"more": 1}],
)
def test_a_grant_that_makes_no_sense_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Grant.model_validate({**RAW, **wrong})
