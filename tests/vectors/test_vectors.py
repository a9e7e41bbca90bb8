"""The code against the files of known answers: what it gives is what stands there, and what is bad is refused."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from common.errors import PeerLost, PeerProtocolError
from common.features.contributions import strongest
from common.learn.network.scales import WEIGHT
from common.learn.trees.forest import U_SCALE
from common.match.curve import Secret, validate
from common.match.intersect import intersect
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.correlations.dealt import take_seed
from common.mpc.fixedpoint import X_SCALE
from common.mpc.session import Array, Channel, Kind, Round, Session
from common.party import Party
from common.plan.network import Network
from common.plan.trees import Trees
from tests.channels import memory_pair
from tests.common.learn.network import twin
from tests.common.learn.network.problems import Problem
from tests.common.learn.network.test_several import World
from tests.common.learn.trees import twin as tree_twin
from tests.peers import BASE, Trio
from tests.vectors import write
from tests.vectors.banks import ABREAST, ROWS, TREES, TREES_ROWS, trees_world
from tests.vectors.form import FOLDER, array, load, text
from tests.vectors.jobs import JOBS, jobs, without_fingerprints

REFUSED = load("refused.json")
PORTABLE = [name for name in write.FILES if name not in ("jobs.json", "links.json", "trees.json")]


def refused(name: str) -> Any:
    return pytest.mark.parametrize("case", REFUSED[name], ids=[case["why"] for case in REFUSED[name]])


def test_every_file_has_its_maker_and_its_line_in_the_readme() -> None:
    files = {file.name for file in FOLDER.glob("*.json")}
    assert files == set(write.FILES)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in files if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", PORTABLE)
def test_a_file_is_what_the_code_gives(name: str) -> None:
    assert text(write.FILES[name]()) + "\n" == (FOLDER / name).read_text(encoding="utf-8")


def test_links_are_what_the_code_gives_but_for_the_coefficients_last_digits() -> None:
    made, known = write.FILES["links.json"](), load("links.json")
    for one, two in zip(made["cases"], known["cases"], strict=True):
        assert close(one.pop("coefficients", []), two.pop("coefficients", []))
        for name in ("tables", "factors"):
            difference = array(one.pop(name)).view(np.int64) - array(two.pop(name)).view(np.int64)
            assert np.abs(difference).max() <= 1
        assert one == two


def test_a_tree_is_what_the_code_gives_but_for_the_coefficients_last_digits() -> None:
    for made, known in zip(write.FILES["trees.json"]()["cases"], load("trees.json")["cases"], strict=True):
        for name in ("link", "gain", "leaf"):
            assert close(made.pop(name), known.pop(name))
        assert made == known


@pytest.fixture(scope="module")
def made() -> Any:
    return jobs()


def test_reasons_of_a_line_are_the_plain_choice_of_what_stands_beside_them() -> None:
    case = load("reasons.json")["linear"]
    scales = {"x": 16, "matrix": 20}
    x, matrix = (array(case[name]).view(np.int64) / 2.0**scale for name, scale in scales.items())
    weights = (array(case["weights"]["grid"]) + array(case["weights"]["bank"])).view(np.int64) / 2.0**20
    parts = x @ (matrix @ weights).reshape(-1, x.shape[1]).T
    expected = np.argsort(-parts, axis=1) + 1
    expected[-np.sort(-parts, axis=1) <= case["threshold"]] = 0
    assert array(case["codes"]).tolist() == expected[:, :2].tolist() and len({tuple(row) for row in expected}) > 3


def test_reasons_by_trees_are_the_plain_choice_of_what_stands_beside_them() -> None:
    case = load("reasons.json")["trees"]
    grid, bank = (array(case["paths"][side]).astype(np.int64) for side in ("grid", "bank"))
    leaves = (array(case["leaves"]["grid"]) + array(case["leaves"]["bank"])).view(np.int16) / 2.0**11
    u = np.take_along_axis(leaves, grid | np.tile(bank, 3), axis=1).sum(0).reshape(3, -1)  # as they are, without each group
    expected = strongest((u[0] - u[1:]).T, 2, case["threshold"])
    assert array(case["codes"]).tolist() == expected.tolist() and len({tuple(row) for row in expected.tolist()}) > 2


@pytest.mark.parametrize("case", load("reasons.json")["networks"], ids=lambda case: case["activation"])
def test_reasons_by_a_network_are_the_plain_choice_of_what_stands_beside_them(case: dict[str, Any]) -> None:
    x = {side: array(case["x"][side]).view(np.int64) / 2.0**X_SCALE for side in ("grid", "bank")}
    words = (array(case["weights"]["grid"]) + array(case["weights"]["bank"])).view(np.int64) / 2.0**WEIGHT
    columns = x["grid"].shape[1] + x["bank"].shape[1]
    first, output = words[: columns * 2].reshape(columns, 2), words[columns * 2 : columns * 2 + 2]

    def u(grid: Any) -> Any:
        sums = np.concatenate([grid, x["bank"]], axis=1) @ first
        return twin.units(case["activation"], sums)[0] @ output

    without = [u(np.where(np.array(case["groups"]) == group, 0.0, x["grid"])) for group in (0, 1)]
    parts = np.stack([u(x["grid"]) - other for other in without], axis=1)
    gaps = np.abs(np.diff(np.sort(np.column_stack([parts, np.full(len(parts), case["threshold"])]), axis=1), axis=1))
    assert gaps.min() > 2.0**-6  # no near tie
    expected = strongest(parts, 2, case["threshold"])
    assert array(case["codes"]).tolist() == expected.tolist() and len({tuple(row) for row in expected.tolist()}) > 2


def test_a_training_that_ends_early_ends_where_the_twin_does() -> None:
    case = load("networks.json")["cases"][-1]
    section = Network.model_validate(case["section"])
    problem = Problem.made(16, seed=5)
    losses = [loss for _, loss in twin.stopped(section, problem.grid, problem.bank, problem.label)]
    assert losses[2] < losses[1] and losses[2] < losses[3] and case["steps"] == 4 * 7
    assert [len([m for m in case["sent"][side] if m["kind"] == "early_stop"]) for side in ("grid", "bank")] == [2, 2]


def test_a_network_of_two_banks_ends_where_both_banks_rows_held_back_say_and_keeps_the_best_weights() -> None:
    case, world = load("banks.json")["cases"][-1], World.made(ROWS, seed=6)
    found = twin.of_several_stopped(Network.model_validate(case["section"]), world.grid, world.bank, world.label, ROWS)
    losses = [loss for _, loss in found]
    assert case["steps"] == 13 and losses[10] > losses[11] > losses[12] < losses[13]
    weights = (array(case["weights"]["grid"]) + array(case["weights"]["bank"])).view(np.int64) / 2.0**WEIGHT
    assert np.abs(weights - found[12][0]).max() < 0.01
    for line, bits in zip(
        case["lines"], ([3, 3], [3, 0]), strict=True
    ):  # after the tenth epoch there is nothing to compare with
        assert [len([m for m in line["sent"][side] if m["kind"] == "early_stop"]) for side in ("grid", "bank")] == bits


@pytest.mark.parametrize("case", load("banks.json")["cases"][1:-1], ids=lambda case: case["section"]["activation"])
def test_a_network_of_two_banks_is_what_training_the_pooled_rows_in_float64_gives(case: Any) -> None:
    world, section = World.made(ROWS, seed=6), Network.model_validate(case["section"])
    weights = (array(case["weights"]["grid"]) + array(case["weights"]["bank"])).view(np.int64) / 2.0**WEIGHT
    pooled = twin.of_several(section, world.grid, world.bank, world.label, ROWS)
    begun = twin.of_several(section.model_copy(update={"epochs": 0}), world.grid, world.bank, world.label, ROWS)
    assert np.abs(weights - pooled).max() < 0.01 < 0.1 < np.abs(begun - pooled).max()


@pytest.mark.parametrize("name", JOBS)
def test_a_whole_job_says_what_it_said(made: Any, name: str) -> None:
    for now, then in zip(made[name], load("jobs.json")[name], strict=True):
        for line in ("sent", "dealt", "to_neutral"):
            for party in Party:
                assert without_fingerprints(now[line][party.value]) == without_fingerprints(then[line][party.value])


@pytest.mark.parametrize("name", JOBS)
def test_a_whole_job_leaves_the_model_and_the_scores_that_it_left(made: Any, name: str) -> None:
    for now, then in zip(made[name], load("jobs.json")[name], strict=True):
        for party, model in then.get("model", {}).items():
            files = {name: half.pop("arrays_sha256") for name, half in (("now", now["model"][party]), ("then", model))}
            assert close(now["model"][party], model), files
        scores = [[number(cell) for line in csv.reader(job.get("scores", [])) for cell in line] for job in (now, then)]
        assert close(*scores)


def number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def close(one: Any, two: Any) -> bool:
    """Whether two values are the same, floats to some ten digits."""
    if isinstance(one, float) and isinstance(two, float):
        return one == pytest.approx(two, rel=1e-9, abs=1e-12)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(close, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(close(one[key], two[key]) for key in one)
    return bool(one == two)


@refused("points")
def test_bad_points_are_refused(case: dict[str, Any]) -> None:
    points = array(case["points"])
    with pytest.raises(PeerProtocolError):
        validate(points)
        Secret().multiply(points)


async def served(tags: Array, said: int) -> int:
    """How many common tags the neutral process finds, to which the grid sends `tags` and the bank one that is above all."""
    lines: dict[Party, Channel] = {}
    for party, counts in ((Party.GRID, [said, 1]), (Party.BANK, [1, said])):
        end, line = memory_pair()
        await end.send(Round(Kind.PSI_SIZES, 1), np.array(counts, np.uint64))
        await end.send(Round(Kind.PSI_TAGS, 2), tags if party is Party.GRID else np.full((1, 2), 2**64 - 1, np.uint64))
        lines[party] = line
    return await intersect(lines, 100)


@refused("tags")
async def test_bad_tags_are_refused(case: dict[str, Any]) -> None:
    tags = array(case["tags"])
    with pytest.raises(PeerProtocolError):
        await served(tags, case.get("said", len(tags)))


async def test_good_points_tags_and_messages_are_taken() -> None:
    known = load("matches.json")
    validate(array(known["ecdh"]["points"]["grid"]))
    tags = array(known["neutral"]["tags"]["grid"])
    assert await served(tags, len(tags)) == 0
    mine, theirs = memory_pair()
    await theirs.send(Round(Kind.MASKED_U, 1), np.arange(3, dtype=np.uint32))
    assert (await Session(Party.GRID, mine).collect(Kind.MASKED_U, np.uint32, (3,))).tolist() == [0, 1, 2]


@refused("messages")
async def test_bad_messages_are_refused(case: dict[str, Any]) -> None:
    mine, theirs = memory_pair()
    await theirs.send(Round(Kind(case["kind"]), case["number"]), array(case))
    with pytest.raises(PeerProtocolError):
        await Session(Party.GRID, mine).collect(Kind.MASKED_U, np.uint32, (3,))


@refused("seeds")
async def test_bad_seeds_are_refused(case: dict[str, Any]) -> None:
    mine, dealer = memory_pair()
    await dealer.send(Round(Kind.SEED, 0), np.frombuffer(bytes.fromhex(case["bytes"]), np.uint8))
    with pytest.raises(PeerProtocolError):
        await take_seed(mine)


@refused("demands")
async def test_bad_demands_are_refused(case: dict[str, Any]) -> None:
    async def asking(sizes: list[int]) -> AsyncIterator[PeriodDemand]:
        for size in sizes:
            yield PeriodDemand(size)

    with pytest.raises(
        PeerProtocolError if case["bank"] else PeerLost
    ):  # a stream that ends may be of a process that was killed
        await Trio().dealer.serve({party: asking(case[party.value]) for party in Party}, BASE)


@pytest.mark.parametrize(("place", "section"), [(0, TREES), (1, ABREAST)])
def test_trees_of_two_banks_are_those_of_the_pooled_rows_in_floats(place: int, section: Trees) -> None:
    case, world = load("banks.json")["trees"][place], trees_world()
    values = array(case["leaves"]["grid"]) + array(case["leaves"]["bank"])
    first = np.concatenate(
        [np.full(own, line["start"] / 2.0**U_SCALE) for own, line in zip(TREES_ROWS, case["lines"], strict=True)]
    )
    halves = zip(case["splits"]["grid"], case["splits"]["bank"], values, strict=True)
    trees = [tree_twin.put_together(grid, bank, leaves) for grid, bank, leaves in halves]
    tree_twin.check(world.layout.hub(section), world.problem.below, world.problem.label, first, trees)
