"""Scores into decisions, at the bank: rules from held-out rows when a model is trained, then a decision for each scored row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bank_party.decision import reasons
from bank_party.decision.additive import own_weights, shares
from bank_party.decision.bundle import Decision, HeldOut
from bank_party.decision.config import DecisionConfig
from bank_party.decision.grades import grade_of
from bank_party.decision.rules import Scores, Trained, build_rules
from bank_party.decision.table import VERDICTS, verdict
from bank_party.judge.evaluation import BankOnly
from common.features.contributions import Codes, contributions, grouped, strongest
from common.learn.learner import Half
from common.mpc.fixedpoint import Reals
from common.plan.train import Split
from common.rows.table import FeatureTable
from common.stages import split
from common.stages.job import Made
from common.stages.reasons import Named
from common.stats.logistic import Design
from common.stats.measures import sigmoid

_SHOWN = 100_000  # training rows, in the random order of the alignment, from which representative values are taken


def make_rules(config: DecisionConfig, made: Made, u: Reals, bank_only: BankOnly, *, seed: int) -> tuple[HeldOut, list[str]]:
    """What the bank keeps of a training job, and warnings. u: joint, of held-out rows; seed: of the draw of validation rows."""
    model, held, block = made.model, made.held(), made.held_matrix
    weights = own_weights(model, block, u)
    trained = Trained(
        columns=model.fitted.fitted,
        weights=weights,
        means=made.prepared.means(made.train_rows)[:-1],
        alone=bank_only.coefficients,
        alone_error=bank_only.errors,
        shares=shares(block, weights, u),
        train=made.table.part(0, min(made.train_rows, _SHOWN)),
    )
    scores = Scores(joint=u, own=Design(held.rows, len(weights), block).times(weights), alone=bank_only.u)
    return build_rules(model.job, config, trained, held, scores, draw_validation(held, config.validation, seed))


def draw_validation(held: FeatureTable, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which held-out rows calibrate, (n,): a keyed draw within each class, at least one row on either side."""
    chosen = split.draw(held, Split(test=share, seed=seed))
    if chosen.all() or not chosen.any():
        chosen[0] = not chosen[0]
    return chosen


class Deciding:
    """Decisions by one model and its rules: what follows from these alone is found once, not with each row asked for."""

    def __init__(self, rules: Decision, model: Half) -> None:
        self._rules, self._model = rules, model
        columns = model.fitted.fitted
        words = {c.source: c.source for c in columns} | {name: c.reason or name for name, c in model.source.items()}
        self._groups, self._told = grouped([column.source for column in columns], words)
        self._weights, self._means = rules.weights[:-1], np.array(rules.scorecard.means)

    def decide(self, config: DecisionConfig, table: FeatureTable, u: Reals, named: Named | None = None) -> dict[str, Any]:
        """Columns (n,) of the output: u, probability (calibrated), score, grade, decision, reasons. By column, not by row."""
        numbers, verdicts = self._numbers(config, u)
        said = pa.DictionaryArray.from_arrays(pa.array(verdicts), pa.array(VERDICTS))
        return {**numbers, "decision": said, "reasons": reasons.describe(*self._reasons(config, table, named))}

    def answer(self, config: DecisionConfig, table: FeatureTable, u: Reals, named: Named | None = None) -> dict[str, Any]:
        """The same of rows that are asked for: texts as lists, which cost one row least, the grid's reasons by themselves."""
        numbers, verdicts = self._numbers(config, u)
        said = [VERDICTS[code] for code in verdicts.tolist()]
        texts = {"reasons": reasons.spelled(*self._reasons(config, table, None))}
        if named is not None:
            texts["grid_reasons"] = reasons.spelled(named.codes.astype(np.uint16), named.texts)
        return {**numbers, "decision": said, **texts}

    def _numbers(self, config: DecisionConfig, u: Reals) -> tuple[dict[str, Any], npt.NDArray[np.int8]]:
        rules = self._rules
        log_odds = rules.calibration.log_odds(u)
        p, score = sigmoid(log_odds), rules.scorecard.score(log_odds)
        return {"u": u, "probability": p, "score": score, "grade": grade_of(score, rules.starts)}, verdict(config, p, score)

    def _reasons(self, config: DecisionConfig, table: FeatureTable, named: Named | None) -> tuple[Codes, list[str]]:
        """Codes and their texts: the bank's, strongest first, then the grid's likewise: the bank cannot compare the two."""
        texts, matrix = list(self._told), self._model.fitted.transform(table)
        own = contributions(matrix, self._weights, self._means, self._groups, len(texts))
        codes = strongest(own, config.reasons, config.reason_threshold)
        if named is not None:
            theirs = named.codes.astype(np.uint16)
            codes = np.column_stack([codes, np.where(theirs > 0, theirs + len(texts), 0).astype(np.uint16)])
            texts += named.texts
        return codes, texts
