"""The grid's coded reasons: its strongest contributions by text, two messages, and a catalogue that must be plain text."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import ConfigError, LocalProtocolError, PeerProtocolError, PlanError, PolicyError
from common.features.options import Preparation
from common.learn.learners import REASONS, TABLE
from common.learn.linear.design import prepare
from common.learn.linear.half import PartyModel
from common.mpc.session import Kind
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.reasons import TEXT_BYTES, TEXTS, Named, Texts, check_reasons, from_page, open_reasons, to_page
from tests.common.stages.tables import table
from tests.peers import Trio

COUNT = 80
NONE: Any = None  # an opened model takes nothing dealt
NAMES = ("late", "later", "use", "secret")
COLUMNS = {name: ColumnConfig(kind="numeric") for name in NAMES}
LATE = "Late payments in recent months"
SAID: dict[str, str | None] = {
    "late": LATE,
    "later": LATE,
    "use": "用电量下降",
    "secret": None,
}
WEIGHTS = np.array([0.6, 0.7, -0.8, 5.0])


def rows() -> FeatureTable:
    rng = np.random.default_rng(8)
    return table([f"F{k}" for k in range(COUNT)], **{name: rng.normal(size=COUNT) for name in NAMES})


def model(party: Party) -> PartyModel:
    made, _ = prepare(rows(), COLUMNS, Preparation(min_binary=0), COUNT, 1e-4, party)
    weights = WEIGHTS if party is Party.GRID else np.zeros(len(made.columns))
    return PartyModel("job-1", party, made.fitted, weights, COLUMNS, {})


async def reasons(trio: Trio, most: int = 2, texts: dict[str, str | None] = SAID) -> Named:
    calls = [
        open_reasons(trio.session[p], NONE, model(p), rows(), Texts(texts if p is Party.GRID else {}, 0.3), most) for p in Party
    ]
    grid, bank = await asyncio.gather(*calls)
    assert grid is None and bank is not None
    return bank


@pytest.mark.parametrize("most", [1, 2])
async def test_the_bank_gets_the_strongest_texts_against_each_row(most: int) -> None:
    trio = Trio()
    named = await reasons(trio, most)
    parts = model(Party.GRID).fitted.transform(rows()) * WEIGHTS
    for row, codes in zip(parts, named.codes.tolist(), strict=True):
        sums = {LATE: row[0] + row[1], "用电量下降": row[2]}
        want = [text for text in sorted(sums, key=lambda text: -sums[text]) if sums[text] > 0.3][:most]
        assert [named.texts[code - 1] for code in codes if code] == want
    assert trio.session[Party.GRID].traffic.sent == {Kind.GRID_REASONS: TEXTS * TEXT_BYTES + COUNT * most}
    assert trio.session[Party.GRID].opened == trio.session[Party.BANK].opened == {Opened.GRID_REASONS}


async def test_a_column_without_text_is_never_named() -> None:
    assert not (await reasons(Trio(), texts={"secret": None})).codes.any()
    named = await reasons(Trio())
    assert named.texts == (LATE, "用电量下降")


async def test_nothing_is_sent_that_the_plan_does_not_open() -> None:
    trio = Trio(frozenset({Opened.SCORES}))
    with pytest.raises(PolicyError, match="grid_reasons"):
        await open_reasons(trio.session[Party.GRID], NONE, model(Party.GRID), rows(), Texts(SAID, 0.3), 2)
    assert trio.peer[Party.GRID].log == []


def test_reasons_are_not_asked_of_a_learner_that_gives_none_nor_of_a_closed_model_without_a_dealer() -> None:
    means: Any = SimpleNamespace(job="job-1", learner="means", coefficients=None)
    with pytest.raises(PlanError, match="a model of kind means does not give"):
        check_reasons(1, means)
    check_reasons(0, means)
    check_reasons(2, model(Party.GRID), dealt=False)
    closed: Any = SimpleNamespace(job="job-1", learner="linear", coefficients=None)
    check_reasons(1, closed)
    with pytest.raises(PlanError, match="nobody holds model job-1: that takes a coordinator"):
        check_reasons(1, closed, dealt=False)


@pytest.mark.parametrize("party", Party)
async def test_a_model_without_weights_here_ranks_nothing_and_sends_nothing(party: Party) -> None:
    trio, closed = Trio(), SimpleNamespace(job="job-1", learner="means", coefficients=None)
    with pytest.raises(LocalProtocolError, match="no weights"):
        await open_reasons(trio.session[party], NONE, closed, rows(), Texts(SAID, 0.3), 2)  # type: ignore[arg-type]
    assert trio.peer[party].log == []


def test_closed_models_of_every_kind_give_reasons() -> None:
    assert set(REASONS) == {learner.name for learner in TABLE.values()}


async def hostile(page: np.ndarray, codes: np.ndarray) -> str:
    trio = Trio()
    grid = trio.session[Party.GRID]
    await grid.send(Kind.GRID_REASONS, page)
    await grid.send(Kind.GRID_REASONS, codes)
    with pytest.raises(PeerProtocolError) as caught:
        await open_reasons(trio.session[Party.BANK], NONE, model(Party.BANK), rows(), Texts({}, 0.3), 2)
    return str(caught.value)


async def test_a_code_without_text_is_refused() -> None:
    message = await hostile(to_page(("late",)), np.full((COUNT, 2), 2, np.uint8))
    assert "a reason of no text (expected at most 1, got 2)" in message


@pytest.mark.parametrize("text", [b"=cmd()", b"a\x1b[2J", b"a;b", b"\xff\xfe", b"x" * 61, "a\u202eb".encode()])
async def test_a_text_that_no_column_could_declare_is_refused(text: bytes) -> None:
    page = to_page(("fine",))
    page[1, : len(text)] = np.frombuffer(text, np.uint8)
    assert "not a plain text" in await hostile(page, np.zeros((COUNT, 2), np.uint8))


async def test_codes_of_another_shape_are_refused() -> None:
    assert "another shape" in await hostile(to_page(()), np.zeros((COUNT, 3), np.uint8))


async def test_of_a_closed_model_more_texts_than_can_be_ranked_send_nothing() -> None:
    trio, names = Trio(), [f"c{k}" for k in range(31)]
    fitted = SimpleNamespace(fitted=[SimpleNamespace(source=name) for name in names])
    closed: Any = SimpleNamespace(job="job-1", learner="linear", coefficients=None, fitted=fitted)
    with pytest.raises(ConfigError, match="31 different reasons are declared, and 30 can be ranked"):
        await open_reasons(trio.session[Party.GRID], NONE, closed, rows(), Texts({name: name for name in names}, 0.3), 2)
    assert trio.peer[Party.GRID].log == []


async def test_a_grid_without_texts_costs_a_page_and_ranks_nothing() -> None:
    trio = Trio()
    closed: Any = SimpleNamespace(job="job-1", learner="linear", coefficients=None, fitted=SimpleNamespace(fitted=[]))
    calls = [open_reasons(trio.session[p], NONE, closed, rows(), Texts({}, 0.3), 2) for p in Party]
    grid, bank = await asyncio.gather(*calls)
    assert grid is None and bank is not None and not bank.codes.any() and bank.codes.shape == (COUNT, 2)
    assert trio.session[Party.BANK].traffic.sent == {}


def test_a_page_holds_64_texts_of_any_script_and_no_more() -> None:
    texts = tuple(f"{k}" + "电" * 58 for k in range(10, 74))
    assert from_page(to_page(texts)) == texts
    assert from_page(to_page(())) == ()
    with pytest.raises(ConfigError, match="65 different reasons"):
        to_page((*texts, "one more"))


def test_a_gap_in_the_page_is_refused() -> None:
    page = to_page(("one", "two"))
    page[0] = 0
    with pytest.raises(PeerProtocolError):
        from_page(page)
