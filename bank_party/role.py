"""What the bank does with what a job gives it alone: it measures the model, makes rules of its scores, and decides by them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bank_party.classes import Floors, check_classes
from bank_party.decision import bundle
from bank_party.decision.bundle import HeldOut
from bank_party.decision.decide import Deciding, make_rules
from bank_party.decision.scores import write_scores
from bank_party.home import BankHome
from bank_party.judge import challenge, converged, evaluation
from bank_party.judge.evaluation import BankOnly
from bank_party.judge.refit import explained, refit
from bank_party.told import METRICS, Cheaper, Due
from common.disclosure import Opened
from common.disk.files import write_private
from common.errors import LocalProtocolError, PolicyError
from common.home.outcome import EVALUATION, Challenge, Evaluation, pack_evaluation
from common.home.record import Refit
from common.learn.learner import Half, opens_once
from common.learn.learners import learner_of, several_of
from common.learn.trees.learner import FEWER, fitting_trees
from common.mpc.beside import to_the_end
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.table import FeatureTable
from common.stages.job import Beginning, Decider, Heard, Kept, Made, PartyJob
from common.stages.price import FLAGS, FLOORS, WORSE, challenge_bits, left_out_bits, metric_bits
from common.stages.reasons import Named, Texts
from common.stages.split import Mask

_log = logging.getLogger(__name__)
_WITHHELD = (
    "metrics of these held-out rows have been told as often as the bank allows (metric_bits): this model's stay at the bank,"
    " whose report has them"
)


@dataclass(frozen=True)
class BankRole:
    """The bank's side of a job."""

    home: BankHome
    party = Party.BANK

    def budget(self, model: Half, job: str, granted: int | None = None) -> None:
        return None

    def charge_labels(self, table: FeatureTable, job: str, what: str, bits: float, *, again: bool = True) -> None:
        self.home.told.charge(table, job, what, bits, self.home.policy.label_bits, again=again)

    def tells(self, rows: FeatureTable, job: str, what: str, bits: float) -> bool:
        """Whether metrics of these held-out rows may be told, and charges for it, once a job. PROTOCOL.md section 7."""
        try:
            limit = self.home.policy.metric_bits
            self.home.told.charge(rows, job, what, bits, limit, again=False, account=METRICS)
        except PolicyError as error:
            _log.warning("job %s: %s", job, error, extra={"public": f"job {job}: {error.public}"})
            return False
        return True

    def check_labels(self, job: PartyJob, table: FeatureTable, test: Mask) -> None:
        """Charges what the answer tells first, since a job that fails tells it as well."""
        policy, book = self.home.policy, self.home.told
        self.charge_labels(table, job.id, "whether there are labels enough", FLOORS, again=False)
        job.charged("label_bits", table.rows)
        check_classes(table, test, Floors(policy.min_per_class, policy.min_test_per_class).moved(table, book.secret()))

    async def check_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        dues = self._dues(job, plan, beginning)
        await asyncio.to_thread(self.home.told.check_all, job.id, dues, self.home.policy.label_bits)

    async def before_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        dues = self._dues(job, plan, beginning)

        def charge() -> None:
            self.home.told.charge_all(job.id, dues, self.home.policy.label_bits)
            job.charged("label_bits", beginning.rows.rows)

        await to_the_end(asyncio.to_thread(charge))

    def _dues(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> list[Due]:
        """Of the rows that train what others are told of labels, if anything, and of all that matched the warnings."""
        told_by = several_of(plan.model) if beginning.several else learner_of(plan.model)
        opened = told_by.label_bits(plan.model, beginning.size)
        counted = left_out_bits(job.outcome.counts["own_columns"]) if plan.preparation.coding == "woe" else 0.0
        splits = "all splits" if beginning.several else "the grid's splits"
        names = {Opened.TREE_SPLITS: splits, Opened.EARLY_STOP: "when training stopped gaining"}
        name = next((said for value, said in names.items() if value in plan.model.opens), "the grid's weights")
        steps_again = not opens_once(learner_of(plan.model), plan.model)
        opened *= job.course.left if steps_again else 1.0
        cheaper = None
        if isinstance(plan.model, Trees):
            cheaper = Cheaper(FEWER, partial(fitting_trees, plan.model, beginning.size, several=beginning.several))
        trained = beginning.trained()
        dues = [Due(trained, what, bits, again=False) for what, bits in beginning.told]
        dues += [Due(trained, name, opened, steps_again, cheaper), Due(trained, "columns left out", counted)]
        # Once a training is through, the other party may have heard warnings, and bring about others by what it sends now.
        return [*(due for due in dues if due.bits), Due(beginning.rows, "warnings", FLAGS, job.course.through)]

    async def trained(self, job: PartyJob, plan: TrainPlan, made: Made, heard: Heard | None) -> Kept:
        """Measures the joint model beside the bank's own columns alone, and makes its decision rules of held-out scores."""
        if heard is None:
            raise LocalProtocolError("a training at the bank ended without scores")
        label = made.table.outcomes
        alone = await asyncio.to_thread(evaluation.bank_only, made, label)
        found = await self._measure(job, plan, heard.u, alone, label[made.train_rows :])
        held, warnings = await asyncio.to_thread(make_rules, self.home.decision, made, heard.u, alone, seed=plan.split.seed)
        job.warn(*warnings)
        ridge = plan.model.line_ridge
        if ridge is not None and isinstance(job.plan, TrainPlan):  # of several banks none knows the rows of all
            columns = sum(made.task.size.by_party.values())
            job.warn_alone(converged.thin_warning(label[: made.train_rows], columns, ridge))
        rival = None
        if heard.champion is not None and heard.champion_u is not None:
            rival = await asyncio.to_thread(challenge.compare, heard.champion, held.label, held.u_joint, heard.champion_u)
        await self._tell_metrics(job, made.table.keys(slice(made.train_rows, None)), found, rival)
        refits = await asyncio.to_thread(_again, made, held)
        return Kept(refits, lambda folder: _save(held, found, rival, folder))

    async def _tell_metrics(self, job: PartyJob, held: FeatureTable, found: Evaluation, rival: Challenge | None) -> None:
        """Puts what others hear of both into the outcome, as far as it is paid for; the bank keeps both in any case."""

        def pays() -> bool:
            told = self.tells(held, job.id, "metrics", metric_bits(held.rows))
            if told:
                job.charged("metric_bits", held.rows)
            return told

        if await to_the_end(asyncio.to_thread(pays)):
            job.session.open(Opened.METRICS)
            job.outcome.evaluation = found
        else:
            job.warn(_WITHHELD, public=_WITHHELD)
        if rival is None:
            return
        if await asyncio.to_thread(self.tells, held, job.id, f"beside {rival.champion}", challenge_bits(held.rows)):
            job.session.open(Opened.METRICS)
            job.outcome.challenge = rival

    async def _measure(self, job: PartyJob, plan: TrainPlan, u: Reals, alone: BankOnly, label: Reals) -> Evaluation:
        """The evaluation, and warnings that all hear: of scores the link cannot hold, of a training cut short."""
        found = await asyncio.to_thread(evaluation.evaluate, u, alone.u, label)
        if (warning := evaluation.reach_warning(found.largest_u, plan.model.reach)) is not None:
            job.warn(warning, public=warning)
        slope = converged.convergence_warning(u, label) if plan.model.calibrated else None
        said = [text for text in (slope, None if job.session.settled else converged.RESTLESS) if text is not None]
        job.warn(*said, public=converged.PUBLIC)  # one warning, whichever it is: no more of labels is told
        return found

    def before_scoring(self, model: Half) -> None:
        """Raises JobNotFound or DataError unless the model's decision rules can be read."""
        bundle.load_decision(model.job, self.home.models.folder(model.job))

    def reasons(self, job: PartyJob, model: Half) -> Texts:
        return Texts({}, 0.0)

    async def scored(self, job: PartyJob, model: Half, table: FeatureTable, u: Reals | None, named: Named | None) -> None:
        """A decision for each row, into the file of scores."""
        if u is None:
            raise LocalProtocolError("a scoring at the bank ended without scores")
        rules = bundle.load_decision(model.job, self.home.models.folder(model.job))
        decided = await asyncio.to_thread(Deciding(rules, model).decide, self.home.decision, table, u, named)
        await asyncio.to_thread(write_scores, self.home.scores_of(job.id), table, decided)
        self.home.history.enter_scores(job.id, model.job, self.home.scores_of(job.id))

    def decider(self, model: Half) -> Decider:
        """What gives the columns of `scores/JOB.csv` but for the keys, by the rules as they are now."""
        deciding = Deciding(bundle.load_decision(model.job, self.home.models.folder(model.job)), model)
        return lambda table, u, named: deciding.answer(self.home.decision, table, u, named)

    def beside(self, candidate: str, champion: str) -> challenge.Measured:
        """The candidate and the champion on rows held out by both; charges for telling whether it is worse, once."""
        least, secret = max(challenge.LEAST, self.home.policy.min_test_per_class), self.home.told.secret()

        def floor(rows: FeatureTable) -> int:
            return Floors(least, least).moved(rows, secret).held  # whether it is reached is told, by what is not compared

        asked = challenge.measured(self.home.models, candidate, champion, floor)
        if asked.rows.rows:
            self.charge_labels(asked.rows, candidate, f"whether worse than {champion}", WORSE, again=False)
        return asked

    def compare(self, plan: PromotePlan, candidate: str, champion: str) -> Challenge | None:
        """The candidate and the champion on rows held out by both.

        The numbers stay here where it is refused, or where no bits are left for them.
        """
        asked = self.beside(candidate, champion)
        found = asked.found
        if (how := challenge.worse(found, candidate)) is not None and not plan.force:
            public = f"{candidate} is worse than the champion {champion}: the bank's log has the numbers"
            raise PolicyError(
                how,
                remedy="Promote another, or this one with force = true (--force), where both policies allow that (overrides).",
                public=public,
            )
        if found is None or self.tells(asked.rows, candidate, f"beside {champion}", challenge_bits(asked.rows.rows)):
            return found
        return None


def _again(made: Made, held: HeldOut) -> tuple[Refit, ...]:
    """The bank's weights on held-out rows: fitted to their labels where the model is open, to its scores where it is closed."""
    if made.model.closed:
        return explained(made.model, held, made.held_matrix)
    return refit(made.model, held, made.held_matrix, made.task.basis.ridge)


def _save(held: HeldOut, found: Evaluation, rival: Challenge | None, folder: Path) -> None:
    bundle.save(held, folder)
    write_private(folder / EVALUATION, pack_evaluation(found))
    if rival is not None:
        challenge.save(rival, folder)
