"""A client and a grid that leave one id out at a time, and look at what fails: it is the same whatever that id's label is."""

from __future__ import annotations

import pandas as pd
import pytest

from common.client.client import Client
from common.stages.sizes import TOO_FEW
from common.wire import coordinator_pb2 as wire
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables, own, run

LEFT_OUT = 3  # ids of each label


def without(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame[frame["id"] != name]


def said(job: wire.Job) -> tuple[str, str, str]:
    """All that a client sees of how a job ended, but for which of two that say the same was heard first."""
    return job.state, job.fault.kind, job.fault.message


def ids_by_label(bank: pd.DataFrame) -> dict[int, list[str]]:
    return {label: sorted(bank.loc[bank["y"] == label, "id"])[:LEFT_OUT] for label in (0, 1)}


def test_one_id_less_is_refused_in_the_same_words_whatever_its_label_is(lab: Lab, client: Client) -> None:
    """R4. The same floors of labels as plans once had would have told each."""
    grid, bank = make_tables("L")
    lab.write("rows", grid, bank)
    assert run(client, make_plan("rows")).state == "succeeded"
    answers = {}
    for label, names in ids_by_label(bank).items():
        for name in names:
            without(grid, name).to_csv(lab.table("grid", "rows"), index=False)
            job = run(client, make_plan("rows"))
            stages = {s.stage for s in (*job.grid.report.seconds, *job.bank.report.seconds)}
            assert not stages & {"prepare", "train"} and not job.bank.report.HasField("evaluation")
            answers[label, name] = said(job)
    assert len(answers) == 2 * LEFT_OUT and len(set(answers.values())) == 1
    assert answers.popitem()[1][:2] == ("failed", "PolicyError")


@pytest.mark.parametrize("label", [0, 1])
def test_one_id_more_is_refused_in_the_same_words_too(lab: Lab, client: Client, label: int) -> None:
    grid, bank = make_tables("MN"[label])
    (name, *_) = ids_by_label(bank)[label]
    lab.write("more", without(grid, name), bank)
    assert run(client, make_plan("more")).state == "succeeded"
    grid.to_csv(lab.table("grid", "more"), index=False)
    state, kind, message = said(run(client, make_plan("more")))
    assert (state, kind) == ("failed", "PolicyError")
    assert message.startswith("the matched rows differ in few enterprises from those of an earlier training")


def test_too_few_labels_are_told_as_too_few_rows_are_and_what_that_tells_is_charged(lab: Lab, client: Client) -> None:
    grid, bank = make_tables("O")
    rare = sorted(bank["id"])[::20]
    bank["y"] = bank["id"].isin(rare).astype(int)  # 75 of 1,500
    lab.write("after", grid, bank)
    assert said(run(client, make_plan("after"))) == ("failed", "PolicyError", TOO_FEW)
    assert "hold fewer labels of one class than this bank trains on" in lab.told("bank")
    assert "whether there are labels enough" in own(lab, "bank", "budget")
