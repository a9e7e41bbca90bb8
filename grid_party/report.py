"""The grid's page: the frame, and its weights, which it has nothing to compare with."""

from __future__ import annotations

from pathlib import Path

from common.report import figures
from common.report.card import Card
from common.report.evidence import gather
from common.report.page import Chart, Own, Report, make
from common.report.texts import Choice

SECTIONS = (
    "summary", "findings", "card", "identity", "data", "features", "dictionary", "model", "stability",
    "opened", "warnings", "sign",
)  # fmt: skip


def make_report(data: Path, job: str, choice: Choice, card: Card | None = None) -> Report:
    """The report of a training job, from the grid's data folder; raises as `gather` does."""
    evidence = gather(data, job)
    model = evidence.model
    weights = [] if model.coefficients is None else model.coefficients.tolist()
    charts: dict[str, Chart] = {"weights": lambda words: figures.weights(words, model.columns, weights) if weights else None}
    return make(evidence, Own(SECTIONS, values=lambda words: {"weights": weights}, charts=charts), choice, card or Card())
