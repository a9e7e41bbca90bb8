"""The list of revoked certificates: what it may hold, what reads it, how it is added to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ConfigError, IdentityError
from common.party import Identity
from common.trust.authority import (
    TrustStore,
    export_bundle,
    identity_of,
    import_bundle,
    issue,
    make_ca,
    read_certificate,
    renew,
    shown_fingerprint,
    verify_peer,
)
from common.trust.cli import certs
from common.trust.revoked import Revoked, read_revoked, revoke

GRID = Identity("volt", "grid")


@pytest.fixture
def volt(tmp_path: Path) -> Path:
    folder = make_ca("volt", tmp_path / "volt").parent
    issue(folder, GRID, folder)
    import_bundle(export_bundle(folder), folder / "trust", "volt")
    return folder


def verify(volt: Path, now: datetime | None = None) -> Identity:
    return verify_peer((volt / "grid.pem").read_bytes(), TrustStore(volt / "trust"), now)


def test_no_file_revokes_nobody(volt: Path) -> None:
    assert read_revoked(volt / "trust") == Revoked()
    assert verify(volt, datetime.now(UTC)) == GRID


@pytest.mark.parametrize("form", ["upper", "lower", "plain", "serial"])
def test_every_form_of_an_entry_revokes_that_certificate_and_no_other(volt: Path, form: str) -> None:
    certificate = read_certificate(volt / "grid.pem")
    shown = shown_fingerprint(certificate)
    forms = {
        "upper": shown,
        "lower": shown.lower(),
        "plain": shown.replace(":", ""),
        "serial": f"volt {certificate.serial_number:x}",
    }
    revoke(volt / "trust", forms[form], "key lost\non a train")
    assert "# key lost on a train\n" in (volt / "trust" / "revoked.txt").read_text()
    for now in (datetime.now(UTC), None):
        with pytest.raises(IdentityError, match="certificate of wattscore://volt/grid is revoked"):
            verify(volt, now)
    renew(volt, GRID, volt)
    assert verify(volt) == GRID


def test_the_serial_of_another_organisation_revokes_nothing(volt: Path) -> None:
    revoke(volt / "trust", f"acme {read_certificate(volt / 'grid.pem').serial_number:x}")
    assert verify(volt) == GRID


@pytest.mark.parametrize("line", ["AB:CD", "volt", "volt xyz", "wattscore://volt/grid", "00" * 33])
def test_a_line_that_is_no_entry_lets_nobody_in_and_is_named(volt: Path, line: str) -> None:
    (volt / "trust" / "revoked.txt").write_text(f"# list\n\n{line}  # who\n")
    with pytest.raises(ConfigError, match=r"revoked\.txt, line 3: neither a fingerprint") as caught:
        verify(volt)
    assert str(volt) not in caught.value.public
    with pytest.raises(ConfigError):
        revoke(volt / "trust", "00" * 32)
    (volt / "trust" / "revoked.txt").unlink()
    with pytest.raises(ConfigError, match="neither"):
        revoke(volt / "trust", line)
    assert not (volt / "trust" / "revoked.txt").exists()


def test_entries_are_added_to_a_list_without_a_last_newline(volt: Path) -> None:
    (volt / "trust" / "revoked.txt").write_text("00" * 32)
    revoke(volt / "trust", "volt 1F")
    assert read_revoked(volt / "trust") == Revoked(frozenset({bytes(32)}), frozenset({("volt", 31)}))


def test_the_commands(volt: Path) -> None:
    before, key = read_certificate(volt / "grid.pem"), (volt / "grid.key").read_bytes()
    done = CliRunner().invoke(certs, ["renew", "--role", "grid", "--dir", str(volt)])
    assert done.exit_code == 0 and f"replaces fingerprint {shown_fingerprint(before)}" in done.output
    after = read_certificate(volt / "grid.pem")
    assert (identity_of(after), after.serial_number == before.serial_number) == (GRID, False)
    assert (volt / "grid.key").read_bytes() != key and (volt / "grid.key").stat().st_mode & 0o777 == 0o600
    assert not list(volt.glob(".*"))
    done = CliRunner().invoke(certs, ["revoke", shown_fingerprint(before), "--dir", str(volt)])
    assert done.exit_code == 0 and verify(volt) == GRID
    done = CliRunner().invoke(certs, ["revoke", str(volt / "grid.pem"), "--dir", str(volt), "--note", "stolen"])
    assert f"revoked {shown_fingerprint(after)}" in done.output
    with pytest.raises(IdentityError, match="revoked"):
        verify(volt)


def test_a_role_is_renewed_only_in_the_place_of_its_own(volt: Path) -> None:
    issue(volt, Identity("volt", "client"), volt)
    (volt / "client.pem").rename(volt / "grid.pem")
    with pytest.raises(IdentityError, match=r"grid\.pem is of another"):
        renew(volt, GRID, volt)
    with pytest.raises(ConfigError, match="cannot be read"):
        renew(volt, Identity("volt", "nobody"), volt)
