"""Outcomes: all that a party may say of a job that is over."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from common.stats.metrics import Interval, Metrics


@dataclass(frozen=True)
class Steps:
    """Steps in which metrics leave the bank: `rank` of AUC, KS and differences of AUCs, `mean` of log-loss and Brier score."""

    rank: float
    mean: float


@dataclass(frozen=True)
class Evaluation:
    """Hold-out metrics of the joint and the bank-only model, DeLong's interval of their AUCs, the largest |u|; all exact."""

    joint: Metrics
    bank_only: Metrics
    auc_difference: Interval
    largest_u: float
    steps: Steps


EVALUATION = "evaluation.json"
"""The file beside a model at the bank that holds its evaluation, exact: others hear it in steps."""


def pack_evaluation(found: Evaluation) -> bytes:
    return json.dumps(asdict(found)).encode()


def parse_evaluation(data: bytes) -> Evaluation:
    """What `pack_evaluation` made. Raises ValueError, KeyError or TypeError for anything else."""
    raw = json.loads(data)
    joint, alone = (Metrics(**raw[name]) for name in ("joint", "bank_only"))
    return Evaluation(joint, alone, Interval(**raw["auc_difference"]), float(raw["largest_u"]), Steps(**raw["steps"]))


@dataclass(frozen=True)
class Challenge:
    """A model beside the champion on the same held-out rows, `rows` of them; exact.

    auc_difference: of the model less the champion, with DeLong's interval.
    """

    champion: str
    auc: float
    champion_auc: float
    auc_difference: Interval
    rows: int
    steps: Steps


@dataclass(frozen=True)
class Drift:
    """The largest stability index beyond chance among what was scored, 0 if none is, and how many alarms it raised."""

    largest_psi: float
    alarms: int


@dataclass(frozen=True)
class Pooled:
    """How well the model ranks the held-out rows of all banks together, `rows` of them."""

    auc: float
    ks: float
    rows: int
    rarer: int  # of these, rows of the rarer class

    @property
    def step(self) -> float:
        """The step in which others hear both: above what one row moves; where a tenth are of a class, `rows` alone tell it."""
        least = max(20.0 / self.rows, 2.0 / max(1, self.rarer))
        return next((step for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if step >= least), 0.5)


@dataclass
class Outcome:
    """A finished job, as others may hear of it: counts, seconds, warnings, what was opened, at the bank the evaluation."""

    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)  # of each stage, as its session counted them
    warnings: list[str] = field(default_factory=list)  # for this party: they may name what its columns hold
    notes: list[str] = field(default_factory=list)  # likewise, of how its rows were read: nothing to look at
    public_warnings: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    model_digest: str = ""
    evaluation: Evaluation | None = None
    drift: Drift | None = None
    champion: str = ""
    challenge: Challenge | None = None
    pooled: Pooled | None = None
