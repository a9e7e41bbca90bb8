"""Two parties whose audit logs are compared when they meet: neither may be behind what the other was told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.daemon.account import Account
from common.errors import DataError, PolicyError
from common.home.audit import BEHIND, AuditLog, What
from common.wire.peer import Stands, greeting


class Two:
    """Both logs, and jobs at which they meet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, 0
        self.logs = {name: AuditLog(folder / f"{name}.sqlite") for name in ("grid", "bank")}

    def meet(self) -> dict[str, PolicyError | None]:
        """What each says; all greet before any hears, as frames cross."""
        self.jobs += 1
        for log in self.logs.values():
            log.add(What.OFFER, f"job-{self.jobs}")
        accounts = {
            name: Account(log, f"job-{self.jobs}", f"the {other}", f"{name}-party")
            for (name, log), other in zip(self.logs.items(), ("bank", "grid"), strict=True)
        }
        said = {name: Stands.of(greeting("j", b"", account.stands()).hello) for name, account in accounts.items()}
        found: dict[str, PolicyError | None] = {}
        for name, other in (("grid", "bank"), ("bank", "grid")):
            try:
                accounts[name].take(said[other])
                found[name] = None
            except PolicyError as error:
                found[name] = error
            self.logs[name].add(What.END, f"job-{self.jobs}")
        return found

    def copy(self, name: str) -> Path:
        return shutil.copy(self.logs[name]._file, self.folder / "copy.sqlite")

    def restore(self, name: str) -> None:
        shutil.copy(self.folder / "copy.sqlite", self.logs[name]._file)


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


FINE = {"grid": None, "bank": None}


def test_logs_that_go_on_meet_again_and_again(two: Two) -> None:
    for _ in range(4):
        assert two.meet() == FINE
        two.logs["grid"].add(What.REFUSE, "x")  # one side may do more than the other
    assert two.logs["grid"].verify_against(two.logs["bank"].heard()).number == 16
    assert two.logs["bank"].verify_against(two.logs["grid"].heard()).number == 12


@pytest.mark.parametrize(("name", "other"), [("grid", "bank"), ("bank", "grid")])
def test_a_restored_log_is_noticed_by_both_and_goes_on_when_the_other_side_says_so(two: Two, name: str, other: str) -> None:
    two.meet()
    two.copy(name)
    two.meet()
    two.restore(name)
    found = two.meet()
    here, there = found[name], found[other]
    assert here is not None and "the audit log here is not the one of" in here.message and f"the {other}" in here.message
    assert there is not None and f"the audit log of the {name} is not the one of" in there.message
    two.logs[name].add(What.OVERRIDE, rule=BEHIND, person="li")
    assert two.meet()[name] is not None  # its own word is not enough
    two.logs[other].add(What.OVERRIDE, rule=BEHIND, person="wang", note="disk lost")
    assert two.meet() == FINE == two.meet()


def test_a_log_made_anew_as_long_as_the_old_one_is_noticed(two: Two) -> None:
    two.meet()
    two.logs["bank"]._file.unlink()
    two.logs["bank"] = AuditLog(two.folder / "bank.sqlite")
    for _ in range(5):
        two.logs["bank"].add(What.ACCEPT, "invented")
    assert two.meet()["bank"] is not None  # the grid sees a longer log: that it is another one is seen when it is verified
    with pytest.raises(DataError, match="was another one"):
        two.logs["bank"].verify_against(two.logs["grid"].heard())


def test_a_peer_that_says_nothing_of_its_log_is_behind(two: Two) -> None:
    two.meet()
    account = Account(two.logs["grid"], "job-9", "the bank", "grid-party")
    with pytest.raises(PolicyError, match="the audit log of the bank is not the one of"):
        account.take(Stands())


def test_another_grant_at_the_other_side_ends_the_job_and_one_that_it_does_not_hold_does_not(two: Two) -> None:
    for theirs, fine in (
        ({"grid meters": "ab"}, True),
        ({}, True),
        ({"grid meters": "cd"}, False),
        ({"bank loans": "cd"}, True),
    ):
        own = Account(two.logs["grid"], "job-1", "the bank", "grid-party", grants={"grid meters": "ab"})
        other = Account(two.logs["bank"], "job-1", "the grid", "bank-party", grants=theirs)
        said = Stands.of(greeting("job-1", b"", other.stands()).hello)
        if fine:
            own.take(said)
            continue
        with pytest.raises(PolicyError, match="the bank holds another grant of grid meters than this side"):
            own.take(said)
