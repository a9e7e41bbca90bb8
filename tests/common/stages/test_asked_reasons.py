"""Reasons of the grid on request: what a scoring job of the same rows tells, from a stock and by the grid's weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.decision.config import DecisionConfig
from common.disclosure import Opened
from common.errors import PlanError
from common.features.contributions import contributions, grouped
from common.learn.learners import takes_stock
from common.learn.linear import deal_reasons
from common.learn.linear.half import ClosedModel, CommittedModel
from common.learn.network import deal_reasons as network_reasons
from common.learn.trees import deal_reasons as tree_reasons
from common.learn.trees import walk
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, decode
from common.mpc.session import Kind
from common.party import Party
from common.plan.predeal import PredealPlan
from common.stages.desk import Answer, Remains, Warm
from common.stages.reasons import AskedReasons, check_reasons
from grid_party.settings import GridPolicy
from tests.common.learn.linear.groups import TIE, right
from tests.common.stages.companies import COMMON, POLICY, Companies, frames
from tests.common.stages.tables import table
from tests.common.stages.test_ahead import deal

TEXTS = {"kwh": None, "peak": "High peak use", "late": "Late payments", "branch": "Line of business"}
COLUMNS = {name: {"kind": "categorical" if name == "branch" else "numeric", "reason": text} for name, text in TEXTS.items()}
NAMED = tuple(text for text in TEXTS.values() if text)
THRESHOLD = GridPolicy().reason_threshold


class Seat:
    """A desk that asks for these rows, one request after another."""

    given = None
    decoys = ()

    def __init__(self, requests: Sequence[Sequence[str]]) -> None:
        self._requests = iter(requests)
        self.answers, self.remains = dict[str, Answer](), list[Remains]()

    def taking(self) -> Any:
        return nullcontext()

    def ready(self, warm: Warm) -> None:
        pass

    async def ask(self) -> Sequence[str] | None:
        return next(self._requests, None)

    async def hear(self, answers: Sequence[Answer], remains: Remains) -> None:
        self.answers |= {answer.name: answer for answer in answers}
        self.remains.append(remains)


async def companies(folder: Path, model: dict[str, Any]) -> Companies:
    """With a trained model job-1, and what a scoring job of matched rows tells of it in scores/score-1.csv."""
    at = Companies(folder, columns={Party.GRID: COLUMNS}, policy=POLICY.model_copy(update={"reasons_per_row": 2}))
    at.decision = DecisionConfig(min_grade_rows=10, reasons=0)
    at.write(frames(seed=1, monthly=False))
    await at.run("job-1", at.plan(model=model))
    await at.run("score-1", at.plan(kind="score", model="job-1", grid_reasons=2))
    return at


def told(at: Companies, job: str) -> pd.Series:
    found = pd.read_csv(at.home(Party.BANK) / "scores" / f"{job}.csv", keep_default_na=False)
    return found.set_index("id")["reasons"].sort_index()


async def ask(at: Companies, job: str, requests: Sequence[Sequence[str]], stock: int, most: int = 2) -> Seat:
    at.desk = seat = Seat(requests)
    plan = at.plan(
        kind="score", model="job-1", grid_reasons=most, on_request=stock, dealt="ahead", matching="ecdh", drift=False
    )
    outcomes = await at.run(job, plan)
    assert all(Opened.GRID_REASONS.value in outcome.opened for outcome in outcomes.values())
    return seat


async def stock(at: Companies, rows: int, reasons: int, name: str) -> None:
    grid, bank = (len(at.models(party).load("job-1").columns) for party in Party)
    await deal(at.folder, PredealPlan(serves="scores", rows=rows, grid_columns=grid, bank_columns=bank, reasons=reasons), name)


def plain(at: Companies, ids: Sequence[str]) -> Reals:
    """What each text adds to u, (rows, texts), by both halves of the closed model put together."""
    data = pd.read_csv(at.dataset(Party.GRID).path).set_index("id").loc[list(ids)]
    rows = table(list(ids), **{name: data[name] for name in ("kwh", "peak", "late")})
    rows = rows.__class__(**{**rows.__dict__, "categorical": {"branch": data["branch"].to_numpy(object)}})
    halves = {party: at.models(party).load("job-1") for party in Party}
    grid, bank = halves[Party.GRID], halves[Party.BANK]
    assert isinstance(grid, ClosedModel) and isinstance(bank, ClosedModel)
    weights = grid.whiten @ decode(grid.own + bank.other, WEIGHT_SCALE)
    groups, named = grouped([column.source for column in grid.fitted.fitted], TEXTS)
    parts = contributions(grid.fitted.transform(rows), weights, np.zeros(len(weights)), groups, len(named))
    return parts[:, [named.index(text) for text in NAMED]]


def codes(said: Sequence[str]) -> Any:
    found = np.zeros((len(said), 2), np.uint8)
    for row, texts in zip(found, said, strict=True):
        for k, text in enumerate(texts.split("; ") if texts else ()):
            row[k] = 1 + NAMED.index(text)
    return found


async def test_a_closed_models_reasons_are_those_of_a_scoring_job_but_in_ties(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deal_reasons, "_CELLS", 600)  # lots of 40 rows for five texts, of 60 for four: requests lie across them
    at = await companies(tmp_path, {})
    await stock(at, 260, 5, "predeal-1")  # two texts more than there are; not all rows
    await stock(at, 2000, 4, "predeal-2")
    monthly = told(at, "score-1")
    ids = list(monthly.index)
    requests = [
        [ids[0]],
        ids[1:4],
        ["F9999", *ids[4:30]],
        *([id] for id in ids[30:60]),
        ids[60:255],
        ids[255:],
        [ids[7], ids[2]],
    ]
    seat = await ask(at, "score-2", requests, 250)
    assert len(ids) == COMMON and all(id in seat.answers for id in ids) and seat.answers["F9999"].refused
    said = pd.Series({id: seat.answers[id].decided["grid_reasons"] for id in ids})
    parts = plain(at, ids)
    assert right(codes(said.tolist()), parts, THRESHOLD).all()
    gaps = np.diff(np.sort(np.column_stack([parts, np.full(len(ids), THRESHOLD)]), axis=1), axis=1).min(axis=1)
    assert (gaps > TIE).mean() > 0.9 and (said == monthly)[gaps > TIE].all()
    assert set(np.unique(codes(said.tolist()))) == {0, 1, 2, 3}
    assert not any(remains.untold for remains in seat.remains)
    sent = at.trio.session[Party.BANK].traffic.sent
    assert {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.MASKED_RANKS} <= set(sent) and Kind.GRID_REASONS not in sent
    assert (told(at, "score-2") == said.sort_index()).all()  # what the session's file says of each row


async def test_an_opened_models_reasons_are_those_of_a_scoring_job(tmp_path: Path) -> None:
    at = await companies(tmp_path, {"reveal": "owners"})
    monthly = told(at, "score-1")
    ids = list(monthly.index)
    seat = await ask(at, "score-2", [[ids[0]], ids[1:40], ["F9999", *ids[40:]]], 1000)
    said = pd.Series({id: seat.answers[id].decided["grid_reasons"] for id in ids})
    assert (said == monthly).all() and len(set(said)) > 3
    assert Kind.MASKED_RANKS not in at.trio.session[Party.BANK].traffic.sent
    one = await ask(at, "score-3", [ids[:40]], 1000, most=1)
    assert [one.answers[id].decided["grid_reasons"] for id in ids[:40]] == [text.split("; ")[0] for text in monthly[ids[:40]]]


async def test_from_a_stock_without_them_scores_go_on_and_the_next_one_tells_them(tmp_path: Path) -> None:
    at = await companies(tmp_path, {})
    for name, rows, texts in (("predeal-1", 50, 0), ("predeal-2", 60, 2), ("predeal-3", 70, 3)):
        await stock(at, rows, texts, name)
    monthly = told(at, "score-1")
    ids = list(monthly.index)
    seat = await ask(
        at, "score-2", [ids[:50], ids[50:70], ids[70:110], ids[110:150]], 40
    )  # the one for three texts comes first
    said = [remains.untold for remains in seat.remains]
    assert (
        said[:2] == ["", ""] and "dealt for 0 texts of the grid's reasons, which are 3" in said[2] and "for 2 texts" in said[3]
    )
    heard = [seat.answers[id].decided["grid_reasons"] for id in ids[:150]]
    assert heard[70:] == [""] * 80 and np.mean([a == b for a, b in zip(heard[:70], monthly[ids[:70]], strict=True)]) > 0.9
    assert all("u" in answer.decided for answer in seat.answers.values())


async def test_of_more_texts_than_are_ranked_no_stock_is_asked_for(tmp_path: Path) -> None:
    """None can be dealt for so many: it was said to deal one with 31 or more."""
    at = await companies(tmp_path, {})
    session, model = at.trio.session[Party.BANK], at.models(Party.BANK).load("job-1")
    asked: Any = AskedReasons(session, model, (), tuple(f"text {k}" for k in range(31)), THRESHOLD, 2)
    for texts in (0, 30):
        await asked.take(None, 40, texts)
        assert asked.untold == (
            "the grid declares 31 texts of reasons, and 30 can be ranked of a model that nobody holds:"
            " its columns are to share texts"
        )
        assert not (await asked.hear(table(["A", "B", "C"]))).any()


def test_what_is_not_told_on_request_is_refused_by_name() -> None:
    """By a model that nobody holds and nobody deals for there is no stock to tell them from."""
    model: Any = object.__new__(CommittedModel)
    for name, value in (("job", "job-1"), ("banks", ())):
        object.__setattr__(model, name, value)
    assert model.closed and not takes_stock(model)
    with pytest.raises(PlanError, match=r"reasons of the grid on request, and model job-1, of kind linear, gives none"):
        check_reasons(2, model, on_request=True)


TREES = {"kind": "trees", "trees": 6, "depth": 2, "bins": 6, "candidates": 12}
NETWORK = {"kind": "network", "hidden": 3, "epochs": 12, "batch": 0}


@pytest.mark.parametrize(
    ("model", "equal"),
    [(TREES, 1.0), (NETWORK, 0.97), ({**NETWORK, "activation": "relu"}, 0.97)],
    ids=["trees", "sine", "relu"],
)
async def test_by_trees_and_networks_the_reasons_are_those_of_a_scoring_job(
    model: dict[str, Any], equal: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By trees in every row; by a network but where two groups are as strong as each other, to a step or two."""
    at = await companies(tmp_path, model)
    monkeypatch.setattr(tree_reasons, "BLOCK_ROWS", 5 * 40)  # lots of 40 rows for four texts: requests lie across them
    monkeypatch.setattr(network_reasons, "CELLS", 3 * 5 * 40)
    monkeypatch.setattr(walk, "_PADS", 6 * 4 * 5 * 7)  # windows of seven
    texts = 4  # one more than there are
    sizes = {} if model is TREES else dict(zip(("grid_columns", "bank_columns"), columns(at), strict=True))
    plan = PredealPlan(serves="scores", rows=700, reasons=texts, model=model, **sizes)  # type: ignore[arg-type]
    await deal(at.folder, plan, "predeal-1")
    monthly = told(at, "score-1")
    ids = list(monthly.index)
    requests = [[ids[0]], ids[1:4], ["F9999", *ids[4:30]], *([id] for id in ids[30:60]), ids[60:180], ids[180:]]
    seat = await ask(at, "score-2", requests, 250)
    assert not any(remains.untold for remains in seat.remains) and seat.answers["F9999"].refused
    # rows that were held out have been scored twice by now, which is as often as the grid allows
    said = pd.Series({id: seat.answers[id].decided["grid_reasons"] for id in ids if not seat.answers[id].refused})
    assert len(said) > 200 and len(set(said)) > 3
    assert (said == monthly[said.index]).mean() >= equal
    sent = at.trio.session[Party.BANK].traffic.sent
    assert Kind.MASKED_RANKS in sent and Kind.GRID_REASONS not in sent
    assert (told(at, "score-2") == said.sort_index()).all()


def columns(at: Companies) -> tuple[int, int]:
    grid, bank = (len(at.models(party).load("job-1").columns) for party in Party)
    return grid, bank


async def test_a_row_that_is_asked_for_again_is_masked_anew(tmp_path: Path) -> None:
    at = await companies(tmp_path, {})
    await stock(at, 60, 3, "predeal-1")
    id = told(at, "score-1").index[0]
    seat = await ask(at, "score-2", [[id]] * 6, 40)
    columns = len(at.models(Party.GRID).load("job-1").columns)
    sent = [
        values
        for label, values in at.trio.peer[Party.GRID].log
        if label.kind is Kind.MASKED_MATRIX and values.dtype == np.uint64 and values.shape == (columns, 1)
    ]
    assert len(sent) == 6 and len({word for values in sent for word in values.ravel().tolist()}) == 6 * columns
    assert seat.remains[-1].rows == 54
