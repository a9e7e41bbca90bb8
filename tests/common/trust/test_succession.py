"""An organisation that replaces its CA: both are trusted until the old one's last day, then the new one alone."""

from __future__ import annotations

import errno
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import ConfigError, IdentityError
from common.party import Identity
from common.trust.authority import TrustStore, import_bundle, issue, make_ca, verify_peer
from common.trust.cli import certs
from common.trust.lastgood import KEEP, LastGood

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LAST = date(2030, 1, 10)
GRID = Identity("volt", "grid")


@pytest.fixture
def volt(tmp_path: Path) -> Path:
    """Two CAs of one name, `old` and `new`, each with a certificate of the grid's; the old one is trusted."""
    for name in ("old", "new"):
        make_ca("volt", tmp_path / name, 100, now=START)
        issue(tmp_path / name, GRID, tmp_path / name, now=START)
    import_bundle(tmp_path / "old" / "ca.pem", tmp_path / "trust", "volt", now=START)
    return tmp_path


def leaf(volt: Path, name: str) -> bytes:
    return (volt / name / "grid.pem").read_bytes()


def test_both_are_trusted_to_the_end_of_the_old_ones_last_day(volt: Path) -> None:
    trust = TrustStore(volt / "trust")
    with pytest.raises(IdentityError, match=r"issued by another CA.*ask volt for its bundle.*certs trust"):
        verify_peer(leaf(volt, "new"), trust, START)
    import_bundle(volt / "new" / "ca.pem", trust.folder, "volt", until=LAST, now=START)
    assert trust.orgs == ("volt",) and trust.bundle_for(["volt"], START).count(b"BEGIN") == 2
    last, over = datetime(2030, 1, 10, 23, 59, tzinfo=UTC), datetime(2030, 1, 11, tzinfo=UTC)
    assert [verify_peer(leaf(volt, name), trust, last) for name in ("old", "new")] == [GRID, GRID]
    assert verify_peer(leaf(volt, "new"), trust, over) == GRID and trust.bundle_for(["volt"], over).count(b"BEGIN") == 1
    with pytest.raises(IdentityError, match=r"by a CA of volt whose last day here is over.*renew it by its new CA"):
        verify_peer(leaf(volt, "old"), trust, over)
    assert verify_peer(leaf(volt, "old"), trust, None) == GRID  # a connection that was made before goes on
    (trust.folder / f"volt.until-{LAST}.pem").unlink()
    with pytest.raises(IdentityError, match="issued by another CA"):
        verify_peer(leaf(volt, "old"), trust, None)


@pytest.mark.parametrize("error", [None, errno.EIO, errno.ESTALE, errno.EACCES])
def test_the_old_one_is_trusted_for_a_while_when_the_folder_cannot_be_read(
    volt: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    """As the new one beside it is, and by a named error afterwards: what watches open streams knows no others."""
    clock = iter(range(0, 99 * int(KEEP), int(KEEP) // 2 + 1))
    trust = TrustStore(volt / "trust", LastGood(lambda: next(clock)))
    import_bundle(volt / "new" / "ca.pem", trust.folder, "volt", until=LAST, now=START)
    assert verify_peer(leaf(volt, "old"), trust, None) == GRID
    if error is None:
        trust.folder.rename(volt / "away")
    else:
        scandir, listdir = os.scandir, os.listdir

        def fails(real: Any) -> Any:
            def look(folder: Any) -> Any:
                if str(folder) == str(trust.folder):
                    raise OSError(error, os.strerror(error), str(folder))
                return real(folder)

            return look

        monkeypatch.setattr(os, "scandir", fails(scandir))
        monkeypatch.setattr(os, "listdir", fails(listdir))
    assert verify_peer(leaf(volt, "old"), trust, None) == GRID
    with pytest.raises(ConfigError, match="not a folder" if error is None else "cannot be read"):
        for _ in range(9):
            verify_peer(leaf(volt, "old"), trust, None)


def test_no_more_than_two_and_no_day_that_is_over(volt: Path) -> None:
    make_ca("volt", volt / "third", 100, now=START)
    third = volt / "third" / "ca.pem"
    with pytest.raises(IdentityError, match="2029-12-31 is over"):
        import_bundle(third, volt / "trust", "volt", until=date(2029, 12, 31), now=START)
    import_bundle(volt / "new" / "ca.pem", volt / "trust", "volt", until=LAST, now=START)
    with pytest.raises(IdentityError, match=r"until-2030-01-10.pem is trusted beside volt.pem already"):
        import_bundle(third, volt / "trust", "volt", until=date(2030, 1, 20), now=START)
    import_bundle(third, volt / "trust", "volt", until=date(2030, 1, 20), now=START + 10 * DAY)
    assert sorted(file.name for file in (volt / "trust").iterdir()) == ["volt.pem", "volt.until-2030-01-20.pem"]


def test_an_old_ca_of_another_organisation_or_name_is_refused(volt: Path) -> None:
    make_ca("acme", volt / "acme", 100, now=START)
    old = volt / "trust" / "volt.until-2030-01-10.pem"
    old.write_bytes((volt / "acme" / "ca.pem").read_bytes())
    with pytest.raises(IdentityError, match="is of another organisation"):
        verify_peer(leaf(volt, "old"), TrustStore(volt / "trust"), START)
    old.rename(volt / "trust" / "volt.until-soon.pem")
    with pytest.raises(ConfigError, match="its name tells no day"):
        verify_peer(leaf(volt, "old"), TrustStore(volt / "trust"), START)


def test_the_command_takes_the_last_day(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        return CliRunner().invoke(certs, [*words, "--dir", str(tmp_path)], catch_exceptions=False).output

    for name in ("a", "b"):
        make_ca("volt", tmp_path / name)
    run("trust", str(tmp_path / "a" / "ca.pem"), "--org", "volt")
    run("trust", str(tmp_path / "b" / "ca.pem"), "--org", "volt", "--until", "2999-12-31")
    assert {f.name for f in (tmp_path / "trust").iterdir()} == {"volt.pem", "volt.until-2999-12-31.pem"}
