"""A bank that is after the grid's columns: it makes plans and columns to that end, ignores its own floors, and has ten jobs."""

from __future__ import annotations

from typing import Any

import pytest

from common.client.client import Client
from common.party import Party
from common.rows.dataset import DatasetConfig, read_table
from tests.common.stages.plain import plain_part
from tests.extent import extent
from tests.scenarios.attacks.reading import (
    BY_CHANCE,
    JOBS,
    NO_FLOORS,
    SPIKES,
    guesses,
    halves_of,
    held_out,
    spiked,
    targets_of,
    told_beyond,
    train,
    weights,
)
from tests.scenarios.end_to_end.lab import Lab, make_tables


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Lab:
    lab.restart("bank", policy={**NO_FLOORS, "label_bits": 1e9})
    lab.write("rows", *make_tables("R"))
    return lab


def test_scores_that_would_tell_one_column_are_refused_however_it_is_coded(lab: Lab, client: Client) -> None:
    """R5. A column in ten bins was ten columns; its scores told 91 % of its variance, a category of six levels wholly."""
    for job, (column, coding) in enumerate([("g0", "bins"), ("g0", "linear"), ("g9", "linear")]):
        columns = [column]
        side = {"dataset": "rows", "columns": columns}
        done = train(client, job, grid=side, preparation={"coding": coding})
        assert (done.state, done.fault.origin, done.fault.kind) == ("failed", "grid", "PolicyError"), done.fault
        assert "1 columns of the grid are too few, however they are coded" in done.fault.message
        assert not (lab.data("bank") / "models" / done.id).exists() and "test_scores" not in done.bank.report.opened


def test_a_spike_at_the_bank_tells_nothing_of_the_grids_part_of_a_training_row(lab: Lab, client: Client) -> None:
    """R6. The weight of a company's spike is what its label and the grid's part leave it: nobody has it, only a share."""
    bank, found, exact, true = make_tables("R")[1], list[float](), list[float](), list[float]()
    own, own_columns = {row[0]: list(row[1:]) for row in bank[["id", "b0", "b1", "b2"]].itertuples(index=False)}, list[Any]()
    label = dict(zip(bank["id"], bank["y"], strict=True))
    late = sorted(name for name, y in label.items() if y)
    for job in range(extent(3, JOBS // 2)):
        targets = targets_of(job, late, 2 * SPIKES)
        spiked(bank, targets).to_csv(lab.table("bank", "rows"), index=False)
        done = train(client, job, model={"iterations": 100})  # so that the weight is what the row leaves it
        if done.state != "succeeded":
            assert (done.fault.origin, done.fault.kind) == ("grid", "PolicyError") and "scored by" in done.fault.message
            continue
        halves = halves_of(lab, done.id)
        held = held_out(lab, done.id)
        mine, all_ = guesses(halves[Party.BANK]), weights(halves, Party.BANK)
        config = DatasetConfig.model_validate(lab._datasets["grid"]["rows"])
        table = read_table(config.model_copy(update={"columns": halves[Party.GRID].source}), name="r", party=Party.GRID).table
        part = dict(zip(list(table.ids), plain_part(halves, Party.GRID, table), strict=True))
        for k, target in enumerate(targets):
            if target not in held:
                found.append(mine[f"s{k}"])
                exact.append(all_[f"s{k}"])
                own_columns.append(own[target])
                true.append(part[target])
    assert len(true) > extent(12, 20)
    assert told_beyond(true, exact, own_columns) < BY_CHANCE  # else the attack would be none
    assert told_beyond(true, found, own_columns) > BY_CHANCE
