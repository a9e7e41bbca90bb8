"""A training that was stopped too early, or had too few of a class, is noticed, and others are not accused of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bank_party.judge.converged import PUBLIC, RESTLESS, calibration_slope, convergence_warning, thin_warning
from common.party import Party
from common.plan.linear import Model
from common.stats.measures import sigmoid
from tests.common.stages.companies import Companies, frames


def scores(rows: int, rate: float, stretch: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds `stretch` times as far from their mean as the right ones, and labels."""
    rng = np.random.default_rng(seed)
    u = rng.normal(np.log(rate), 1.0, rows)
    return u.mean() + stretch * (u - u.mean()), (rng.random(rows) < sigmoid(u)).astype(np.float64)


@pytest.mark.parametrize(("rate", "stretch", "warned"), [
    (0.3, 1.0, False), (0.3, 0.7, True), (0.3, 1.5, False), (0.03, 1.0, False), (0.03, 0.7, True), (0.01, 0.5, True),
])  # fmt: skip
def test_scores_too_close_together_are_warned_of(rate: float, stretch: float, warned: bool) -> None:
    u, label = scores(30_000, rate, stretch)
    slope, error = calibration_slope(u, label)
    assert slope == pytest.approx(1 / stretch, abs=3 * error) and 0.005 < error < 0.2
    text = convergence_warning(u, label)
    assert (text is not None) is warned
    if text is not None:
        assert f"stretched by {slope:.2f} (standard error {error:.2f})" in text and "iterations" in text


def test_the_error_is_that_of_repeated_draws() -> None:
    slopes, errors = np.transpose([calibration_slope(*scores(3000, 0.1, 1.0, seed)) for seed in range(200)])
    assert slopes.std() == pytest.approx(errors.mean(), rel=0.2)


def test_few_rows_show_nothing() -> None:
    assert not [seed for seed in range(200) if convergence_warning(*scores(300, 0.1, 1.0, seed))]


def test_the_taylor_link_has_an_optimum_of_another_slope_and_is_not_asked_for_this_one() -> None:
    assert Model().calibrated and not Model(link="taylor").calibrated


@pytest.mark.parametrize(("iterations", "warned"), [(1, True), (15, False)])
async def test_a_job_tells_its_client_without_a_number(tmp_path: Path, iterations: int, warned: bool) -> None:
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=1, monthly=True))
    outcomes = await companies.run("job-1", companies.plan(model={"iterations": iterations}))
    told = outcomes[Party.BANK].public_warnings
    assert (PUBLIC in told) is warned and not outcomes[Party.GRID].public_warnings
    assert any("stretched by" in text for text in outcomes[Party.BANK].warnings) is warned
    assert "stretched" not in PUBLIC and not any(letter.isdigit() for letter in PUBLIC)


async def test_a_last_step_that_moved_far_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.learn.linear.steps._USUAL", -1.0)  # of which any rest is more
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=1, monthly=True))
    outcomes = await companies.run("job-1", companies.plan(model={"iterations": 15}))
    bank = outcomes[Party.BANK]
    assert bank.public_warnings == [PUBLIC] and bank.warnings == [RESTLESS] and not outcomes[Party.GRID].public_warnings


@pytest.mark.parametrize(("bad", "columns", "ridge", "said"), [
    (150, 300, 1e-4, "150 training rows of the rarer class are 0.5 for each of the 300 columns"),
    (2_850, 300, 1e-4, "150 training rows of the rarer class"), (599, 300, 0.0099, "2.0 for each"),
    (600, 300, 1e-4, None), (2_400, 300, 1e-4, None), (150, 300, 0.01, None),
])  # fmt: skip
def test_few_rows_of_a_class_for_many_columns_are_said(bad: int, columns: int, ridge: float, said: str | None) -> None:
    text = thin_warning(np.repeat([1.0, 0.0], [bad, 3_000 - bad]), columns, ridge)
    assert text is None if said is None else text is not None and said in text and f"where this plan has {ridge:g})" in text


@pytest.mark.parametrize("ridge", [1e-4, 0.01])
async def test_that_they_are_few_is_told_to_the_bank_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ridge: float
) -> None:
    monkeypatch.setattr("bank_party.judge.converged._THIN", 1000.0)  # of which no data have as many
    companies = Companies(tmp_path, monthly=True)
    companies.write(frames(seed=1, monthly=True))
    outcomes = await companies.run("job-1", companies.plan(model={"ridge": ridge}))
    kept: list[str] = companies.models(Party.BANK).load("job-1").about["warnings"]
    few = [text for text in outcomes[Party.BANK].warnings if "of the rarer class" in text]
    assert len(few) == (ridge < 0.01) and [text for text in kept if "of the rarer class" in text] == few
    assert not any(outcome.public_warnings for outcome in outcomes.values()) and not outcomes[Party.GRID].warnings
