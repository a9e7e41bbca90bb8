"""The record of whole jobs with fixed seeds, through in-memory peers: messages, models and scores."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from common.learn.linear.half import ClosedModel, PartyModel
from common.match import aided, curve, ecdh
from common.match.agree import Match, MatchLimits, Rows
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.stages.companies import Companies, frames
from tests.peers import Trio
from tests.vectors.form import hashed, stored

WOE = {"coding": "woe", "min_binary": 20, "bins": 3, "min_bin_rows": 50}
OPENED = {"reveal": "owners"}
JOBS: dict[str, list[dict[str, Any]]] = {
    "closed": [{}, {"kind": "score", "model": "closed-0"}],
    "opened": [{"matching": "ecdh", "model": OPENED, "preparation": WOE}, {"kind": "score", "model": "opened-0"}],
}
"""By name, plans of jobs one after another at the same two companies."""
SHOWN = 40  # lines of a file of scores


def jobs() -> dict[str, Any]:
    """What each job of JOBS leaves."""
    return {name: _companies(name, plans) for name, plans in JOBS.items()}


def _companies(name: str, plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    monthly = name == "closed"
    with tempfile.TemporaryDirectory() as folder:
        companies = Companies(Path(folder), monthly=monthly)
        companies.write(frames(seed=11, monthly=monthly))
        return [_job(companies, f"{name}-{number}", number, plan) for number, plan in enumerate(plans)]


def _job(companies: Companies, job: str, seed: int, plan: dict[str, Any]) -> dict[str, Any]:
    by = ecdh.match_ids if plan.get("matching") == "ecdh" else None
    companies.new_trio = lambda allowed: Trio(allowed, seed=seed)
    companies.match = lambda session: _told(by or companies.trio.neutral.match(session.party))
    with repeatable():
        asyncio.run(companies.run(job, companies.plan(**plan)))
    trio, scores = companies.trio, companies.home(Party.BANK) / "scores" / f"{job}.csv"
    messages = {
        "plan": plan,
        "sent": {p.value: hashed(trio.peer[p].log) for p in Party},
        "dealt": {p.value: hashed(trio.to_party[p].log) for p in Party},
        "to_neutral": {p.value: hashed(trio.neutral.at_party[p].log) for p in Party},
    }
    if plan.get("kind") != "score":
        return messages | {"model": {p.value: _model(companies, p, job) for p in Party}}
    rows = scores.read_text(encoding="utf-8").splitlines()
    return messages | {"scores": rows[:SHOWN], "scores_sha256": hashlib.sha256(scores.read_bytes()).hexdigest()}


def _model(companies: Companies, party: Party, job: str) -> dict[str, Any]:
    """What a half is made of: preparation, arrays, and the SHA-256 of the file of these."""
    head = json.loads((companies.models(party).folder(job) / "model.json").read_bytes())
    half = companies.models(party).load(job)
    kept = {name: head[name] for name in ("format", "learner", "closed", "columns", "preparation", "arrays_sha256")}
    if isinstance(half, PartyModel):
        return kept | {"weights": half.weights.tolist()}
    assert isinstance(half, ClosedModel)
    return kept | {"whiten": half.whiten.tolist(), "own": stored(half.own), "other": stored(half.other)}


_party: contextvars.ContextVar[Party] = contextvars.ContextVar("party")


def _told(match: Match) -> Match:
    async def matched(session: Session, ids: pa.StringArray, *, domain: bytes, limits: MatchLimits) -> Rows:
        _party.set(session.party)
        return await match(session, ids, domain=domain, limits=limits)

    return matched


@contextmanager
def repeatable() -> Iterator[None]:
    """What matching takes from the operating system's generator is a fixed sequence at each party meanwhile."""
    taken = dict.fromkeys(Party, 0)

    def urandom(size: int) -> bytes:
        party = _party.get()
        taken[party] += 1
        return hashlib.shake_256(f"{party.value}/{taken[party]}".encode()).digest(size)

    with pytest.MonkeyPatch.context() as patch:
        for module in (ecdh, aided):
            patch.setattr(module, "os", SimpleNamespace(urandom=urandom))
        patch.setattr(ecdh, "Secret", lambda: curve.Secret(urandom))
        yield


def without_fingerprints(messages: list[str]) -> list[str]:
    """All but hashes of model files: these hold floats, of which another processor may round the last digit otherwise."""
    return [message for message in messages if not message.startswith(f"{Kind.REGISTRY.value} ")]
