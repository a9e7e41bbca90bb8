"""What stops a job late or early: a spent budget before anything is trained, a failing evaluation before anything is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bank_party.judge import evaluation
from common.errors import DataError, PolicyError
from common.mpc.session import Kind
from common.party import Party
from grid_party.ledger import Ledger
from tests.common.stages.companies import Companies, frames
from tests.common.stages.tables import table


@pytest.fixture
def companies(tmp_path: Path) -> Companies:
    made = Companies(tmp_path, own={Party.GRID: {"scores_per_row": 1}})
    made.write(frames(seed=1, monthly=False))
    return made


async def test_a_row_over_budget_is_refused_before_training(companies: Companies) -> None:
    await companies.run("job-1", companies.plan())
    assert Kind.MASKED_MATRIX in companies.trio.session[Party.GRID].traffic.sent
    with pytest.raises(PolicyError, match="150 of 150 rows have been scored by 1 models already"):
        await companies.run("job-2", companies.plan())
    assert "train" not in companies.reporters[Party.GRID].stages
    assert Kind.MASKED_MATRIX not in companies.trio.session[Party.GRID].traffic.sent


@pytest.mark.parametrize("refuses", list(Party))
async def test_what_ones_books_refuse_has_cost_the_other_nothing(tmp_path: Path, refuses: Party) -> None:
    companies = Companies(tmp_path)
    companies.write(frames(seed=1, monthly=False))
    await companies.run("job-1", companies.plan())
    before = spent(companies)
    rates = {"models_per_day": "asks for more models for one row", "rows_per_day": "asks for more rows to be scored"}
    for number, (key, says) in enumerate(rates.items()):
        companies.own = {refuses: {key: 1 if key == "models_per_day" else 200}}  # a training holds 150 rows out
        plan = companies.plan(kind="score", model="job-1") if key == "rows_per_day" else companies.plan()
        with pytest.raises(PolicyError, match=says):
            await companies.run(f"other-{number}", plan)
        assert spent(companies) == before
    companies.own = {}
    await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    after = spent(companies)
    assert after != before and {party: rows for party, rows, _ in after} == dict.fromkeys(Party, 500)


def spent(companies: Companies) -> list[tuple[Party, int, list[tuple[str, str, float]]]]:
    """Of each party how many rows its client has had, and what its budgets were charged but for what was told by then."""
    homes = {party: companies.opened_home(party) for party in Party}
    every = {party: [charge for book in home.standings() for charge in book.charges] for party, home in homes.items()}
    told = "whether there are labels enough"
    charges = {party: [(one.user, one.what, one.amount) for one in every[party] if one.what != told] for party in Party}
    return [(party, sum(usage.rows for usage in home.rates.usage()), charges[party]) for party, home in homes.items()]


def test_a_check_raises_as_a_charge_would_and_enters_nothing(tmp_path: Path) -> None:
    ledger, rows, one, other = Ledger(tmp_path / "ledger"), table(["A", "B"]), table(["A"]), table(["B"])
    ledger.charge(one, "m1", 1)
    texts = []
    for ask in (ledger.check, ledger.charge):
        with pytest.raises(PolicyError) as caught:
            ask(rows, "m2", 1)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    ledger.check(rows, "m1", 2)
    ledger.check(other, "m2", 1)
    ledger.charge(other, "m3", 1)  # of which no check has left a trace


async def test_a_job_that_fails_in_the_banks_evaluation_leaves_no_model(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def separable(*_: Any) -> None:
        raise DataError("the labels are separable", public="the labels are separable")

    monkeypatch.setattr(evaluation, "evaluate", separable)
    with pytest.raises(DataError, match="separable"):
        await companies.run("job-1", companies.plan())
    assert companies.reporters[Party.GRID].stages[-1] == "evaluate"
    assert [party for party in Party if companies.models(party).has("job-1")] == []
    monkeypatch.undo()
    await companies.run("job-1", companies.plan())  # the same model again costs nothing
    assert [party for party in Party if companies.models(party).has("job-1")] == list(Party)
