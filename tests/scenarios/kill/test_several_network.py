"""A network of several banks outlives the kill of a bank, of the grid and of who deals, and goes on from what all have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bank_party.decision import bundle
from common.disk.data_folder import Name
from common.home.models import ModelStore
from common.home.outcome import EVALUATION, parse_evaluation
from common.learn.network.half import NetworkModel
from common.plan.network import Network
from tests.extent import cases, extent
from tests.scenarios.end_to_end.several import World, network, prepared_rows
from tests.scenarios.kill.masks import read_frames, seeds_of, twice
from tests.scenarios.kill.test_several import Street, cleared, masked, shot, trusting, until

SECTION = Network(hidden=4, batch=0, epochs=16)  # over all rows: their order, another in each attempt, does not matter
LONG = 40  # epochs after which a joint model is better than each bank's own
BACK = 8  # steps that are taken again after a kill, at most
WHEN = {"bank-3": "masked_weights 9", "grid": "masked_weights 50", "coordinator": "dealt_sum 10"}  # half-way, about
LIMITS = {"min_matched": 300}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Street, World]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPT", "8")
        with trusting(tmp_path_factory.mktemp("street")) as found:
            yield found


def steps(street: Street) -> int:
    """How many the second bank, which nobody kills, has taken: of each it masks weights for its own line."""
    return sum(one.kind == "masked_weights" for one in read_frames(street.folder, "bank-2"))


@pytest.mark.parametrize("name", cases(["grid"], ["bank-3", "coordinator"], "whoever it is in a training of a line"))
def test_whoever_is_killed_while_training(street: tuple[Street, World], name: str) -> None:
    trial, world = street
    before = steps(trial)
    with trial.client() as client:
        job = shot(trial, client, world.plan(model=SECTION, limits=LIMITS), name, WHEN[name])
        if name != "coordinator":
            assert until(client, job, "waiting", 10.0).disturbed.kind == "PeerLost"
        trial.start(name)
        assert until(client, job, "succeeded").attempt == 1
    assert SECTION.epochs <= steps(trial) - before <= SECTION.epochs + BACK
    held = {bank: set(bundle.load(job, trial.data(bank) / Name.MODELS / job).ids) for bank in world.names}
    columns = len(ModelStore(trial.data("grid") / Name.MODELS).load(job).columns)
    twin = network(prepared_rows(trial, world, job, held), SECTION, columns)
    for bank in world.names:
        found = parse_evaluation((trial.data(bank) / Name.MODELS / job / EVALUATION).read_bytes())
        assert abs(found.joint.auc - twin[bank].auc) < 0.005 and abs(found.joint.logloss - twin[bank].logloss) < 0.003
    cleared(trial, ("grid", *world.names))


def test_one_that_may_end_early_goes_on_from_an_epoch_s_end(street: tuple[Street, World]) -> None:
    """After the tenth epoch each has its loss looked at, for which weights are masked as for a step."""
    (trial, world), section = street, SECTION.model_copy(update={"epochs": LONG, "early_stop": LONG})
    looked, before = LONG - 9, steps(trial)
    with trial.client() as client:
        job = shot(trial, client, world.plan(model=section, limits=LIMITS), "bank-3", "masked_weights 41")
        trial.start("bank-3")
        done = until(client, job, "succeeded")
    assert done.attempt == 1 and done.grid.report.counts.iterations == LONG
    assert LONG + looked <= steps(trial) - before <= LONG + looked + 2 * BACK
    shares = [ModelStore(trial.data(name) / Name.MODELS).load(job) for name in world.names]
    assert len({half.weights.own.tobytes() for half in shares if isinstance(half, NetworkModel)}) == 1
    for bank in world.names:
        found = parse_evaluation((trial.data(bank) / Name.MODELS / job / EVALUATION).read_bytes())
        assert found.joint.auc > found.bank_only.auc
    cleared(trial, ("grid", *world.names))


def test_the_others_go_on_without_one_that_does_not_come_back(street: tuple[Street, World]) -> None:
    trial, world = street
    plan = world.plan(model=SECTION, limits=LIMITS, min_live=2, leave_out_after=1.0)
    with trial.client() as client:
        job = shot(trial, client, plan, "bank-3", WHEN["bank-3"])
        done = until(client, job, "succeeded")
    assert [bank.left_out for bank in done.banks] == [False, False, True]
    assert done.grid.report.counts.train_rows == sum(bank.report.counts.train_rows for bank in done.banks[:2])
    half: Any = ModelStore(trial.data("grid") / Name.MODELS).load(job)
    assert half.banks == tuple(bank.who for bank in done.banks[:2])
    trial.start("bank-3")
    cleared(trial, ("grid", *world.names))


def test_no_mask_has_served_twice(street: tuple[Street, World]) -> None:
    trial, world = street
    for name in ("grid", *world.names):
        sent = masked(trial, name)
        assert len(sent) > extent(150, 250) and twice(sent) == []  # of what the tests before this one had done
        assert [mark for mark, lives in seeds_of(trial.folder / f"{name}.seeds").items() if len(lives) > 1] == []
