"""Files of a trust folder that cannot be read any more: what they were counts for ten minutes, and then nobody is trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.errors import ConfigError, IdentityError
from common.party import Identity
from common.trust.authority import TrustStore, export_bundle, import_bundle, issue, make_ca, read_certificate, verify_peer
from common.trust.lastgood import KEEP, LastGood
from common.trust.revoked import FILE, revoke

GOOD, BAD = Identity("volt", "good"), Identity("volt", "bad")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> TrustStore:
    """A process that trusts volt and has met both, of whom one is revoked."""
    make_ca("volt", tmp_path)
    for who in (GOOD, BAD):
        issue(tmp_path, who, tmp_path)
    store = TrustStore(tmp_path / "trust", LastGood(clock))
    import_bundle(export_bundle(tmp_path), store.folder, "volt")
    revoke(store.folder, f"volt {_serial(tmp_path):x}")
    assert meets(store, GOOD) and not meets(store, BAD)
    return store


def _serial(folder: Path) -> int:
    return read_certificate(folder / "bad.pem").serial_number


def meets(store: TrustStore, who: Identity) -> bool:
    """Whether it is let in; raises ConfigError where that cannot be told."""
    try:
        return verify_peer((store.folder.parent / f"{who.role}.pem").read_bytes(), store, datetime.now(UTC)) == who
    except IdentityError as error:
        assert "is revoked" in error.message
        return False


@pytest.mark.parametrize("harm", ["malformed", "gone", "no-folder", "no-text"])
def test_the_last_good_list_counts_for_a_while_and_nobody_is_trusted_after(
    store: TrustStore, clock: Clock, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, kept = store.folder / FILE, (store.folder / FILE).read_bytes()
    away = store.folder.with_name("away")
    if harm == "gone":
        file.unlink()
    elif harm == "no-folder":
        store.folder.rename(away)
    else:
        file.write_bytes(b"somebody\n" if harm == "malformed" else b"\xff\xfe")
    for clock.now in (1.0, KEEP):
        assert meets(store, GOOD) and not meets(store, BAD)
    said = [record for record in caplog.records if "then nobody is trusted" in record.getMessage()]
    assert 1 <= len(said) <= 3  # at the first use of each file, not at each use
    clock.now = KEEP + 2.0
    for who in (GOOD, BAD):
        with pytest.raises(ConfigError):
            meets(store, who)
    if harm == "no-folder":
        away.rename(store.folder)
    file.write_bytes(kept)
    assert meets(store, GOOD) and not meets(store, BAD)
    clock.now += KEEP
    file.write_bytes(b"somebody\n")  # its time begins anew
    assert meets(store, GOOD)


def test_an_emptied_list_refuses_nobody(store: TrustStore) -> None:
    (store.folder / FILE).write_bytes(b"")
    assert meets(store, BAD)
    (store.folder / FILE).unlink()  # there is nothing in it to be missed
    assert meets(store, BAD)


def test_what_was_never_read_is_not_made_up(store: TrustStore) -> None:
    (store.folder / FILE).write_bytes(b"somebody\n")
    with pytest.raises(ConfigError):
        meets(TrustStore(store.folder), GOOD)
