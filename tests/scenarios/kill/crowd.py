"""The same with three banks: trainings of all of them with the grid and alone, and scores of one, disturbed likewise.

python -m tests.scenarios.kill.crowd --seed 1 --jobs 12 --operations 40
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from common.client.client import Client
from common.disk.data_folder import Name
from common.plan.read import AnyPlan
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.trial.processes import BANK, more_bank
from tests.patience import patience
from tests.scenarios.end_to_end.several import synthetic
from tests.scenarios.end_to_end.test_banks_alone import at_optimum
from tests.scenarios.end_to_end.test_banks_alone import plan as alone
from tests.scenarios.kill.harness import Play, asked, told
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.test_several import BANK_POLICY, GRID_POLICY, STEPS, as_exact
from tests.scenarios.kill.town import Disturbed, states, unlooked, used_twice

ROWS = (1500, 900, 1600)  # of the banks


class Village(Disturbed):
    """A grid, three banks and a coordinator."""

    def __init__(self, folder: Path, lines: Lines) -> None:
        self.world = synthetic(folder, ROWS)
        settings = {name: {"policy": BANK_POLICY} for name in self.world.names} | {"grid": {"policy": GRID_POLICY}}
        super().__init__(folder, self.world.datasets, {**settings, "coordinator": {"attend_timeout": patience(20)}})
        self.lines, self.daemons = lines, ("coordinator", "grid", *self.world.names)
        dialled = [(name, "coordinator") for name in self.parties] + [(name, "grid") for name in self.world.names]
        self.links = tuple(f"{name}-{target}" for name, target in dialled)

    def kept(self, name: str) -> set[str]:
        """The models of a party."""
        folder = self.data(name) / Name.MODELS
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


class Crowd(Play):
    """A play in a village."""

    town: Village

    def _plan(self, job: int, draw: random.Random) -> AnyPlan:
        """In turn: of all with the grid, scores by such a model at one of them, of banks alone, scores again."""
        world = self.town.world
        joint = [name for name, how in self.dealers.items() if how == "joint" and name not in self.failed]
        if job % 4 == 2:
            return alone(world)
        if job % 4 == 0 or not joint:
            return world.plan(model={"iterations": STEPS}, limits={"min_matched": 300})
        bank = draw.choice(world.names)
        who, side = str(BANK if bank == "bank" else more_bank(bank)), {"dataset": "t"}
        return ScorePlan.model_validate({"grid": side, "bank": side, "model": draw.choice(joint), "with_bank": who})

    def _submitted(self, job: str, plan: AnyPlan) -> None:
        if isinstance(plan, SeveralPlan):
            self.dealers[job] = "alone" if plan.alone else "joint"

    def _ends(self, client: Client) -> list[str]:
        found, town, good = states(client, self.submitted, self.failed), self.town, set[str]()
        for job, how in self.dealers.items():
            if job in self.failed:
                continue
            good.add(job)
            try:
                as_exact(town, town.world, job) if how == "joint" else at_optimum(town, town.world, job)
            except AssertionError as error:
                found.append(f"{job} is another model than that of the exact fit: {error}")
        for name in town.parties:
            wanted = {job for job in good if name != "grid" or self.dealers[job] == "joint"}
            if town.kept(name) != wanted:
                found.append(f"models of the {name}: {sorted(town.kept(name) ^ wanted)} more or fewer")
        if not town.settled():
            found.append("something is kept of jobs that are over")
        return [*found, *unlooked(town), *used_twice(town)]


def main() -> None:
    how = asked(__doc__, 12, 40)
    with tempfile.TemporaryDirectory() as folder, Lines() as lines, Village(Path(folder), lines) as village:
        play = Crowd(village, how.seed, lambda text: print(text, flush=True))
        told(how.seed, how.jobs, how.operations, lambda: play.run(how.jobs, how.operations))


if __name__ == "__main__":
    main()
