"""Three real daemons whose ids are matched by the coordinator or between the two, and a coordinator that lies."""

from __future__ import annotations

import pytest

from common.client.client import Client
from common.trial import processes
from tests.scenarios.end_to_end.lab import BANK_POLICY, Lab, fail, make_plan, make_tables, succeed
from tests.source import ROOT

IDS = 1500


def test_both_ways_find_the_same_and_only_one_shows_the_coordinator_tags(lab: Lab, client: Client) -> None:
    lab.write("scratch", *make_tables("M"))
    jobs = {matching: succeed(client, make_plan("scratch", matching=matching)) for matching in ("neutral", "ecdh")}
    for job in jobs.values():
        assert job.grid.report.counts.matched_ids == job.bank.report.counts.matched_ids == IDS
    for party in ("grid", "bank"):
        neutral, ecdh = (getattr(jobs[way], party).report for way in ("neutral", "ecdh"))
        assert neutral.coordinator.sent - ecdh.coordinator.sent == pytest.approx(16 * IDS, abs=2000)
        assert ecdh.peer.sent - neutral.peer.sent == pytest.approx(64 * IDS, abs=2000)
        assert set(neutral.opened) == set(ecdh.opened)


def test_a_party_may_refuse_that_a_third_process_matches(lab: Lab, client: Client) -> None:
    lab.restart("bank", policy={**BANK_POLICY, "matching": ["ecdh"]})
    assert fail(client, make_plan("main")) == (
        "bank",
        "PolicyError",
        "this party's policy does not allow: matching = 'neutral'",
    )
    lab.write("scratch", *make_tables("N"))
    succeed(client, make_plan("scratch", matching="ecdh"))


def test_a_coordinator_takes_no_more_ids_than_it_is_set_to(lab: Lab) -> None:
    lab.restart("coordinator", max_ids=100)
    with lab.client() as client:
        origin, kind, message = fail(client, make_plan("main"))
        assert (origin, kind) == ("coordinator", "PolicyError")
        assert message.endswith("ids, more than max_ids = 100 of the coordinator")


def test_a_coordinator_that_tells_the_two_different_things(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._MODULES, "coordinator", "tests.scenarios.end_to_end.rogue_matcher")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    lab.write("scratch", *make_tables("O"))
    lab.restart("coordinator")
    with lab.client() as fooled:
        origin, kind, message = fail(fooled, make_plan("scratch"))
    assert origin in ("grid", "bank") and kind == "PeerProtocolError"
    assert message.startswith("the two parties did not find the same common ids")
    monkeypatch.undo()
    lab.restart("coordinator")
    with lab.client() as again:
        succeed(again, make_plan("scratch"))
