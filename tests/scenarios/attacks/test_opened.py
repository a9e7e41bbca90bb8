"""The openings of default jobs through real daemons under default policies, in both audit logs: the documented list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from tests.scenarios.end_to_end.lab import Lab, dataset_files, make_tables, monthly, own, succeed

ROWS, MONTHS = 3900, ["2024-01", "2024-02", "2024-03"]  # a third as many enterprises
PROTOCOL = Path(__file__).parents[3] / "protos" / "PROTOCOL.md"

# What is opened, by which message, and who sends it to whom; "": not in a message of its own, but in what a party reports.
BOTH, OWN = {"grid": {"out", "in"}, "bank": {"out", "in"}}, {"grid": {"out"}, "bank": {"out"}}
BY_GRID, BY_BANK, BANKS_OWN = {"grid": {"out"}, "bank": {"in"}}, {"grid": {"in"}, "bank": {"out"}}, {"bank": {"out"}}
BY_NEUTRAL = {"grid": {"in"}, "bank": {"in"}}
MATCHED = {
    ("matched_ids", "psi_count"): BOTH, ("matched_ids", "psi_common"): BY_NEUTRAL, ("counts", "psi_sizes"): OWN,
    ("counts", "psi_tags"): OWN, ("counts", ""): OWN, ("counts", "registry"): BOTH,
}  # fmt: skip
BY_MONTH = {("period_range", "period_range"): BOTH, ("matched_rows", "period_shares"): BOTH}
TRAINED = {
    ("counts", "shape"): BOTH, ("counts", "resume"): BOTH, ("split", "split"): BY_BANK,
    ("training_check", "training_check"): BY_GRID, ("test_scores", "test_scores"): BY_GRID, ("metrics", ""): BANKS_OWN,
}  # fmt: skip
JOBS = {
    "train": {**MATCHED, **TRAINED},
    "train by month": {**MATCHED, **BY_MONTH, **TRAINED},
    "score": {**MATCHED, **BY_MONTH, ("counts", "resume"): BOTH, ("scores", "scores"): BY_GRID, ("drift", ""): OWN},
    "promote": {("counts", "registry"): BOTH},  # the first one, which is compared with none
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, dict[str, Any]]]:
    """A default training by id and one by month, a promotion, and a scoring of the same rows."""
    folder = tmp_path_factory.mktemp("opened")
    months = dataset_files(folder, ("months",), period="month")
    datasets = {side: {**plain, **months[side]} for side, plain in dataset_files(folder, ("rows",)).items()}
    with Lab(folder, datasets) as lab, lab.client() as client:
        lab.write("rows", *make_tables("P"))
        grid, bank = (monthly(frame, MONTHS) for frame in make_tables("Q", ROWS))
        lab.write("months", grid, bank)
        rows, by_month = {"dataset": "rows"}, {"dataset": "months"}
        done = {"train": succeed(client, TrainPlan.model_validate({"grid": rows, "bank": rows}))}
        keys: dict[str, Any] = {"grid": by_month, "bank": by_month, "keys": ["id", "period"]}
        done["train by month"] = succeed(client, TrainPlan.model_validate(keys))
        done["promote"] = succeed(client, PromotePlan(model=done["train by month"].id))
        done["score"] = succeed(client, ScorePlan.model_validate({**keys, "model": "champion"}))
        yield lab, done


def opened(lab: Lab, party: Party, job: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(what, kind, way) -> rows and bits, as the end of the job has them in this party's audit log."""
    entries = [json.loads(line) for line in own(lab, party.value, "audit", "show", "--job", job).splitlines()]
    first = {(entry["value"], entry["kind"], entry["way"]) for entry in entries if entry["what"] == "open"}
    (end,) = (entry for entry in entries if entry["what"] == "end")
    found = {(value, kind, way): (rows, bits) for value, kind, way, _, rows, bits in end["opened"]}
    assert found.keys() == first, "each was entered before it left or was taken, too"
    return found


@pytest.mark.parametrize("party", list(Party), ids=lambda party: party.value)
@pytest.mark.parametrize("job", list(JOBS))
def test_a_default_job_opens_this_and_nothing_else(jobs: tuple[Lab, dict[str, Any]], job: str, party: Party) -> None:
    lab, done = jobs
    found = opened(lab, party, done[job].id)
    assert found.keys() == {(*what, way) for what, ways in JOBS[job].items() for way in ways.get(party.value, ())}
    reports = {Party.GRID: done[job].grid.report, Party.BANK: done[job].bank.report}
    assert set(reports[party].opened) == {value for value, _, _ in found}, "and a client hears of the same"


def test_it_opens_as_many_as_are_held_out_or_asked_for(jobs: tuple[Lab, dict[str, Any]]) -> None:
    lab, done = jobs
    for job, value in (("train", "test_scores"), ("train by month", "test_scores"), ("score", "scores")):
        counts = done[job].bank.report.counts
        rows = counts.test_rows if value == "test_scores" else counts.matched_rows
        for party, way in ((Party.GRID, "out"), (Party.BANK, "in")):
            found = opened(lab, party, done[job].id)
            assert found[value, value, way] == (rows, 64 * rows)


def test_the_list_is_that_of_the_protocol() -> None:
    table = PROTOCOL.read_text(encoding="utf-8").split("| name | to | what | by |")[1].split("\n\n")[0]
    lines = {cells[1]: cells[4] for line in table.splitlines() if len(cells := [c.strip() for c in line.split("|")]) == 6}
    for value, kind in {what for job in JOBS.values() for what in job}:
        assert not kind or kind in re.findall(r"\w+", lines[value]), (value, kind)
