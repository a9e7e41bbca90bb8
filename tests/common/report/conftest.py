"""One monthly job of two small companies, whose folders the tests of this folder read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bank_party.decision.config import DecisionConfig
from common.home.outcome import Outcome
from common.party import Party
from tests.common.stages.companies import Companies, frames

JOB = "train-1"


class Job:
    """Both parties' data folders after one training job, and what it told."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        decision = DecisionConfig(segments=("branch", "income"), exposure="income", min_grade_rows=20)
        self.companies = Companies(folder, monthly=True, decision=decision)
        data = frames(4, monthly=True)
        bank = data[Party.BANK]
        bank["branch"] = ["东城" if k < 3 else ("北<城>" if k % 2 else "south & west") for k in range(len(bank))]
        bank["flat"], bank["twice"] = 1.0, bank["income"] * 2
        self.companies.write(data)
        self.outcomes: dict[Party, Outcome] = asyncio.run(self.companies.run(JOB, self.companies.plan(**plan)))

    def data(self, party: Party) -> Path:
        return self.companies.home(party)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("report"))
