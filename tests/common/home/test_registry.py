"""Promotion and rollback at both parties in one process: agreed, compared, and whole after a crash at any step."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bank_party.judge import challenge
from common.errors import DataError, JobNotFound, PlanError, PolicyError
from common.home.home import Home
from common.home.outcome import Challenge, Outcome, Steps
from common.home.registry import Registry, Stage
from common.mpc.beside import side_by_side
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.train import TrainPlan
from common.stages import champion
from common.stages.champion import resolve, settle
from common.stages.promote import promote
from common.stats.metrics import Interval
from tests.common.stages.companies import Companies, Recorder, frames
from tests.peers import Trio
from tests.roles import role_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Companies:
    """Two models, of different split seeds; nothing promoted. Tests copy its homes."""
    made = Companies(tmp_path_factory.mktemp("homes"))
    made.write(frames(seed=1, monthly=False))
    for k, seed in ((1, 42), (2, 43)):
        asyncio.run(made.run(f"job-{k}", made.plan(split={"seed": seed}, model={"iterations": 6})))
    return made


@pytest.fixture
def homes(trained: Companies, tmp_path: Path) -> dict[Party, Home]:
    """Both parties' homes, with registries of their own."""
    homes = {}
    for party in Party:
        home, registry = trained.opened_home(party), Registry(tmp_path / f"{party.value}.sqlite", lambda: 1.0)
        for version in home.registry.versions():
            registry.enter(version.job, version.digest, version.peer_digest, version.plan_digest)
        home.registry = registry
        homes[party] = home
    return homes


async def move(homes: dict[Party, Home], job: str, model: str | None = None, **more: Any) -> dict[Party, Outcome]:
    plan = PromotePlan.model_validate({"model": model, "action": "promote" if model else "rollback", **more})
    trio = Trio(plan.allowed)
    ends = {p: promote(job, plan, trio.session[p], home, role_of(home), Recorder()) for p, home in homes.items()}
    grid, bank, _ = await side_by_side([ends[Party.GRID], ends[Party.BANK], trio.dealer.seeds()])
    return {Party.GRID: grid, Party.BANK: bank}


def stages(homes: dict[Party, Home]) -> dict[Party, list[str]]:
    return {party: [version.stage.value for version in home.registry.versions()] for party, home in homes.items()}


def champions(homes: dict[Party, Home]) -> set[str | None]:
    return {home.registry.champion for home in homes.values()}


async def settled(homes: dict[Party, Home]) -> None:
    trio = Trio()
    await side_by_side([settle(trio.session[party], homes[party].registry) for party in Party])


def test_a_training_enters_a_candidate_that_knows_both_halves(homes: dict[Party, Home]) -> None:
    grid, bank = (homes[party].registry.versions() for party in Party)
    for mine, theirs in zip(grid, bank, strict=True):
        assert mine.stage is theirs.stage is Stage.CANDIDATE
        assert (mine.digest, mine.peer_digest) == (theirs.peer_digest, theirs.digest)
        assert homes[Party.GRID].models.digest(mine.job) == mine.digest != theirs.digest
    assert [(v.number, v.job) for v in grid] == [(1, "job-1"), (2, "job-2")]


async def test_promotions_and_a_rollback_move_both_parties(homes: dict[Party, Home]) -> None:
    done = await move(homes, "p-1", "job-1")
    assert {outcome.champion for outcome in done.values()} == champions(homes) == {"job-1"}
    await move(homes, "p-2", "job-2", force=True)
    assert stages(homes) == {party: ["retired", "champion"] for party in Party}
    await move(homes, "p-3")
    assert stages(homes) == {party: ["champion", "retired"] for party in Party}
    told = [(m.job, m.action, m.champion) for m in homes[Party.BANK].registry.moves()]
    assert told == [("p-1", "promote", "job-1"), ("p-2", "promote", "job-2"), ("p-3", "rollback", "job-1")]
    with pytest.raises(PolicyError, match="no champion to roll back to"):
        await move(homes, "p-4")
    with pytest.raises(PolicyError, match="champion already"):
        await move(homes, "p-5", "job-1")
    with pytest.raises(JobNotFound, match="job-9"):
        await move(homes, "p-6", "job-9")


async def resolved(homes: dict[Party, Home], model: str) -> set[str]:
    trio = Trio()
    return set(await side_by_side([resolve(trio.session[party], homes[party].registry, model) for party in Party]))


async def test_the_champion_resolves_to_one_job_at_both(homes: dict[Party, Home]) -> None:
    with pytest.raises(PolicyError, match="no champion yet"):
        await resolved(homes, "champion")
    await move(homes, "p-1", "job-1")
    assert await resolved(homes, "champion") == {"job-1"}
    assert await resolved(homes, "job-2") == {"job-2"}


def crash(homes: dict[Party, Home], party: Party, verb: str, *, after: bool) -> Callable[[], None]:
    """Makes `verb` of this party's registry end its process before or after it has acted; gives back what heals it."""
    registry = homes[party].registry
    real = getattr(registry, verb)

    def dying(*args: Any, **more: Any) -> Any:
        if after:
            real(*args, **more)
        raise KeyError("crash")

    setattr(registry, verb, dying)
    return lambda: delattr(registry, verb)


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize(("verb", "after"), [("prepare", False), ("prepare", True), ("commit", False), ("commit", True)])
async def test_a_crash_leaves_both_at_one_champion(homes: dict[Party, Home], party: Party, verb: str, after: bool) -> None:
    await move(homes, "p-1", "job-1")
    heal = crash(homes, party, verb, after=after)
    with pytest.raises(KeyError):
        await move(homes, "p-2", "job-2", force=True)
    heal()
    await settled(homes)
    assert champions(homes) == ({"job-1"} if verb == "prepare" else {"job-2"}) or (verb, after) == ("commit", False)
    assert len(champions(homes)) == 1
    await move(homes, "p-3", "job-1" if champions(homes) == {"job-2"} else "job-2", force=True)
    assert len({home.registry.position for home in homes.values()}) == 1
    assert all(home.registry.prepared() is None for home in homes.values())


@pytest.mark.parametrize("later", range(16))
async def test_a_job_that_asks_for_the_champion_beside_a_promotion_disturbs_neither(
    homes: dict[Party, Home], later: int
) -> None:
    """At whichever step of the promotion it begins, at both or at one of them sooner than at the other."""
    await move(homes, "p-1", "job-1")

    async def asked(after: int) -> set[str]:
        trio = Trio()

        async def side(party: Party) -> str:
            for _ in range(after if party is Party.GRID else later):
                await asyncio.sleep(0)
            return await resolve(trio.session[party], homes[party].registry, "champion")

        return set(await side_by_side([side(party) for party in Party]))

    promoted, *found = await asyncio.gather(move(homes, "p-2", "job-2", force=True), *map(asked, range(0, 16, 3)))
    assert {outcome.champion for outcome in promoted.values()} == champions(homes) == {"job-2"}
    assert all(names in ({"job-1"}, {"job-2"}) for names in found)  # the same at both
    assert stages(homes) == {party: ["retired", "champion"] for party in Party}


async def test_of_two_promotions_at_once_the_one_that_is_displaced_says_so(homes: dict[Party, Home]) -> None:
    await move(homes, "p-1", "job-1")
    registry = homes[Party.GRID].registry
    first = registry.prepare("p-2", PromotePlan(model="job-2"), "job-2", anew=False)
    second = registry.prepare("p-3", PromotePlan(model="job-2"), "job-2", anew=False)
    with pytest.raises(PolicyError, match="another promotion has taken the place"):
        registry.commit(first.position)
    registry.commit(second.position)
    registry.commit(second.position)
    assert registry.champion == "job-2" and len(registry.moves()) == 2


@pytest.mark.parametrize("party", Party)
async def test_one_that_committed_is_followed_by_one_that_only_prepared(homes: dict[Party, Home], party: Party) -> None:
    await move(homes, "p-1", "job-1")
    plan = PromotePlan(model="job-2")
    for home in homes.values():
        home.registry.prepare("p-2", plan, "job-2", anew=False)
    homes[party].registry.commit()
    assert champions(homes) == {"job-1", "job-2"}
    await settled(homes)
    assert champions(homes) == {"job-2"}
    assert stages(homes) == {party: ["retired", "champion"] for party in Party}


async def test_different_histories_are_refused_until_both_begin_anew(homes: dict[Party, Home], tmp_path: Path) -> None:
    await move(homes, "p-1", "job-1")
    grid = homes[Party.GRID].registry
    old = Registry(tmp_path / "restored.sqlite")
    for version in grid.versions():
        old.enter(version.job, version.digest, version.peer_digest, version.plan_digest)
    homes[Party.GRID].registry = old
    for act in (lambda: resolved(homes, "champion"), lambda: move(homes, "p-2", "job-2")):
        with pytest.raises(PolicyError, match="different histories"):
            await act()
    await move(homes, "p-3", "job-2", anew=True, force=True)
    assert champions(homes) == {"job-2"}
    with pytest.raises(PolicyError, match="no champion to roll back to"):
        await move(homes, "p-4")


async def test_an_altered_model_is_not_promoted(homes: dict[Party, Home], trained: Companies) -> None:
    file = homes[Party.BANK].models.folder("job-1") / "model.json"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole + b" ")  # still valid JSON
        with pytest.raises(DataError, match="is not the one that was trained"):
            await move(homes, "p-1", "job-1")
    finally:
        file.write_bytes(whole)
    assert champions(homes) == {None}


async def test_halves_of_different_trainings_are_not_promoted(homes: dict[Party, Home], tmp_path: Path) -> None:
    other = Registry(tmp_path / "other.sqlite")
    version = homes[Party.GRID].registry.version("job-1")
    other.enter("job-1", version.digest, "00" * 32, version.plan_digest)
    homes[Party.GRID].registry = other
    with pytest.raises(PolicyError, match="halves of different models"):
        await move(homes, "p-1", "job-1")


async def test_a_model_that_is_worse_needs_force(homes: dict[Party, Home]) -> None:
    await move(homes, "p-1", "job-1")
    folder = homes[Party.BANK].models.folder("job-2")
    worse = Challenge("job-1", 0.70, 0.75, Interval(-0.05, -0.08, -0.02, 0.001), 500, Steps(0.01, 0.01))
    challenge.save(worse, folder)
    try:
        with pytest.raises(
            PolicyError, match=r"job-2 is worse than the champion job-1: AUC 0\.7000 against 0\.7500"
        ) as refused:
            await move(homes, "p-2", "job-2")
        assert "is worse than the champion job-1" in refused.value.public and "0." not in refused.value.public
        assert champions(homes) == {"job-1"}
        done = await move(homes, "p-3", "job-2", force=True)
        assert done[Party.BANK].challenge == worse and done[Party.GRID].challenge is None
        assert {party: outcome.opened for party, outcome in done.items()} == {
            Party.GRID: ["counts"],
            Party.BANK: ["counts", "metrics"],
        }
        assert (await move(homes, "p-4"))[Party.BANK].opened == ["counts"]  # a rollback compares nothing
    finally:
        (folder / challenge.FILE).unlink()


def test_two_trainings_whose_rows_hardly_meet_are_not_compared(homes: dict[Party, Home]) -> None:
    models = homes[Party.BANK].models
    assert challenge.measured(models, "job-2", "job-1").found is None  # some 45 rows, and 20 of each class are asked for


async def test_a_challenger_reads_the_champions_columns_as_it_did(homes: dict[Party, Home]) -> None:
    await move(homes, "p-1", "job-1")
    source = homes[Party.GRID].models.load("job-1").source

    async def found(columns: dict[str, Any]) -> Any:
        trio = Trio()
        home = homes[Party.GRID]
        sides = [champion.find_champion(trio.session[Party.GRID], home.registry, home.models, columns)]
        sides.append(champion.champion_of_both(trio.session[Party.BANK], homes[Party.BANK].registry))  # type: ignore[arg-type]
        return (await side_by_side(sides))[0]

    kwh = source["kwh"]
    assert (await found({**source, "kwh": kwh.model_copy(update={"reason": "Falling use"})})).job == "job-1"
    changes = {"missing": "zero"}, {"malformed": "null"}, {"min": 0.0}, {"transform": "none"}
    for columns in ({**source, "kwh": kwh.model_copy(update=change)} for change in changes):
        with pytest.raises(PlanError, match=r"or declares them otherwise.*kwh"):
            await found(columns)
    with pytest.raises(PlanError, match="lacks columns of the champion job-1"):
        await found({name: column for name, column in source.items() if name != "kwh"})


async def test_a_challenge_scores_the_champion_on_the_new_held_out_rows(tmp_path: Path) -> None:
    made = Companies(tmp_path)
    made.write(frames(seed=1, monthly=False))
    first = await made.run("job-1", made.plan(model={"iterations": 6}, challenge=True))
    assert first[Party.BANK].challenge is None and any("none yet" in text for text in first[Party.BANK].warnings)
    homes = {party: made.opened_home(party) for party in Party}
    await move(homes, "p-1", "job-1")
    plan = made.plan(split={"seed": 7}, model={"iterations": 6}, challenge=True)
    assert isinstance(plan, TrainPlan)
    outcomes = await made.run("job-2", plan)  # a row of both held-out parts: job-1 and job-2, the limit of five columns
    found = outcomes[Party.BANK].challenge
    assert found is not None and (found.champion, found.rows) == ("job-1", 150)
    assert outcomes[Party.GRID].challenge is None
    assert found.auc == outcomes[Party.BANK].evaluation.joint.auc  # type: ignore[union-attr]
    assert challenge.measured(homes[Party.BANK].models, "job-2", "job-1").found == found
    assert set(outcomes[Party.BANK].opened) == {opened.value for opened in plan.needs}


def test_a_chain_of_moves_with_each_bank(tmp_path: Path) -> None:
    book = Registry(tmp_path / "registry.sqlite", lambda: 1.0)
    book.enter("own", "aa", "bb", "cc")
    book.enter("all", "dd", "ee", "ff", {"": "first half", "north": "north half"})
    north, south = book.of("north"), book.of("south")

    def move(chain: Registry, job: str, model: str) -> None:
        chain.prepare(job, PromotePlan(model=model), model, anew=False)
        chain.commit()

    move(book, "move-1", "own")
    assert north.position == south.position != book.position and north.champion is None
    move(north, "move-2", "all")
    assert (book.champion, north.champion, south.champion) == ("own", "all", None)
    assert {v.job: v.stage for v in south.versions()} == {"own": Stage.CHAMPION, "all": Stage.CHAMPION}
    book.prepare("move-3", PromotePlan(model="all"), "all", anew=False)  # with one bank: the other's is another
    north.prepare("move-4", PromotePlan(model="own"), "own", anew=False)
    north.drop()
    assert book.prepared() is not None and north.prepared() is None
    book.commit()
    assert {v.job: v.stage for v in book.versions()} == {"own": Stage.RETIRED, "all": Stage.CHAMPION}
    assert [[m.job for m in chain.moves()] for chain in book.chains()] == [["move-1", "move-3"], ["move-2"]]
    assert book.moved == 3 and [m.bank for m in north.moves()] == ["north"]
    halves = [chain.version("all").peer_digest for chain in (book, north, south)]
    assert halves == ["first half", "north half", "ee"] and north.version("own").peer_digest == "bb"


def test_a_book_from_before_several_banks_is_read(tmp_path: Path) -> None:
    file = tmp_path / "registry.sqlite"
    book = Registry(file, lambda: 1.0)
    book.enter("job", "aa", "bb", "cc")
    book.prepare("move", PromotePlan(model="job"), "job", anew=False)
    book.commit()
    with sqlite3.connect(file) as old:
        old.execute("alter table moves drop column bank")
        old.execute("drop table peers")
    again = Registry(file)
    assert again.champion == "job" and again.position == book.position and again.of("north").champion is None


async def test_a_grids_move_with_one_bank_is_none_with_another(homes: dict[Party, Home]) -> None:
    """The bank here is the grid's second one: what was moved with the first counts for nothing between these two."""
    grid = homes[Party.GRID].registry
    grid.prepare("p-0", PromotePlan(model="job-2"), "job-2", anew=False)
    grid.commit()  # with the first bank
    plan = PromotePlan(model="job-1", with_bank="wattscore://north/bank-party")
    trio = Trio(plan.allowed)
    ends = [
        promote("p-1", plan, trio.session[party], home, role_of(home), Recorder(), "north" if party is Party.GRID else "")
        for party, home in homes.items()
    ]
    outcomes = (await side_by_side([*ends, trio.dealer.seeds()]))[:2]
    assert [outcome.champion for outcome in outcomes] == ["job-1", "job-1"]
    assert (grid.champion, grid.of("north").champion, homes[Party.BANK].registry.champion) == ("job-2", "job-1", "job-1")
    assert grid.of("north").position == homes[Party.BANK].registry.position != grid.position
