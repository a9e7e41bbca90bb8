"""What a party allows, whatever a plan asks: floors of size, kinds of weights, what may be opened."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from common.config import StrictModel
from common.disclosure import Opened
from common.errors import PolicyError
from common.party import Identity
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.request import Matching, Plan, Request
from common.plan.roles import Roles
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan

# Each has a key of its own that allows it.
_ASKED_FOR = (Opened.GRADIENTS, Opened.GRID_REASONS, Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS, Opened.POOLED_STEPS)


class Policy(StrictModel):
    """What both parties' have. Each default is the safe one; a floor may be lowered here for trials, never by a plan alone."""

    min_matched: int = Field(default=1000, ge=1, description="Fewest matched enterprises to go on with.")
    min_rows: int = Field(default=1000, ge=1, description="Fewest training rows.")
    rows_per_column: int = Field(default=20, ge=1, description="Fewest training rows for each trained column.")
    least_difference: int = Field(
        default=100,
        ge=1,
        description="Fewest enterprises by whose rows two trainings differ, unless by none.",
    )
    min_binary: int = Field(default=50, ge=0, description="Fewest ones and zeros of a binary column.")
    min_iterations: int = Field(
        default=10, ge=1, description="Fewest steps of a training: after one, weights are sums over rows."
    )
    largest_step: float = Field(default=10.0, gt=0.0, le=16.0, description="Largest step of a training.")
    smallest_ridge: float = Field(
        default=1e-6, ge=0.0, description="Smallest ridge: without one, weights run away with few rows."
    )
    largest_clip: float = Field(
        default=10.0, gt=0.0, description="Largest clip, in deviations: a value beyond it is one row's."
    )
    min_batch: int = Field(
        default=1000, ge=1, description="Fewest rows of a step that is not over all; 20 for each trained column in any case."
    )
    largest_leverage: float = Field(
        default=0.2,
        gt=0.0,
        le=1.0,
        description="Columns that give one training row a larger share than this of a fitted value are left out.",
    )
    min_bin_rows: int = Field(default=50, ge=1, description="Fewest training rows of a bin.")
    min_bin_class: int = Field(
        default=5,
        ge=1,
        description="Training rows of each class in a bin that is counted: plans with woe must say this number.",
    )
    max_ids: int = Field(default=20_000_000, ge=1, description="Most ids either side may bring to an alignment.")
    matching: tuple[Matching, ...] = Field(
        default=("neutral", "ecdh"),
        description="How ids may be matched; leave out neutral to have no third process in it (protos/PROTOCOL.md section 8).",
    )
    own_weights: bool = Field(
        default=False, description="Allow reveal = 'owners': at the end of a training this side's own weights are opened to it."
    )
    owned_weights: bool = Field(
        default=False,
        description="Allow weights = 'owned': each step opens this side's gradient to itself; label_bits must allow it too.",
    )
    half_dealer: bool = Field(
        default=False,
        description="Allow dealer = 'half': masks by ring-LWE, an assumption that nobody outside has reviewed the use of yet"
        " (protos/PROTOCOL.md section 20).",
    )
    no_dealer: bool = Field(
        default=False,
        description="Allow dealer = 'none': as half_dealer, and nobody deals anything; on the same assumption, as little"
        " reviewed (protos/PROTOCOL.md section 21).",
    )
    banks_alone: bool = Field(
        default=False,
        description="Allow plans of banks alone (grid = 'none'), whose steps open sums over all banks' rows to these banks;"
        " at the grid's seat: add up what they mask, with no rows of its own.",
    )
    leave_out: bool = Field(
        default=False,
        description="Allow plans of several banks that go on without those that are gone (min_live).",
    )
    finest_weight_bits: int = Field(default=8, ge=4, le=20, description="Finest grid on which weights are opened: 2^-bits.")
    finest_score_bits: int = Field(default=5, ge=0, le=20, description="Finest step of the grid's part of a score: 2^-bits.")
    jobs_per_day: int = Field(default=20, ge=0, description="Jobs of one client in 24 hours, failed ones too.")
    rows_per_day: int = Field(
        default=200_000, ge=0, description="Rows scored for one client in 24 hours, held-out rows of trainings included."
    )
    models_per_day: int = Field(default=3, ge=0, description="Models of one client that may score a row in 24 hours.")
    resume_days: float = Field(
        default=7.0, ge=0.0, le=90.0, description="Days after which a job that was interrupted is not gone on with."
    )
    lanes: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Most connections to the other party for a job: several are faster on a line that is long or lossy.",
    )
    stock_mib: int = Field(
        default=4096,
        ge=0,
        description="Disk in MiB for randomness dealt ahead, at a grid an equal part a bank; 0: none.",
    )
    reasons_per_row: int = Field(
        default=0, ge=0, le=2, description="Most reasons of the grid told for each row; 0: none, whatever may_open says."
    )
    overrides: tuple[Literal["force", "anew"], ...] = Field(
        default=(), description="What promotions may override: that the model is worse (force), that histories differ (anew)."
    )
    direct: bool = Field(
        default=True, description="Score rows that the bank's own command asks for, from a stock, without the coordinator."
    )
    roles: Roles = Field(
        default={}, description="What each client may have here, by identity: submit, score, promote. None listed: all."
    )
    hold: tuple[Literal["train", "score", "predeal", "promote"], ...] = Field(
        default=(), description="Kinds of jobs that wait until people of this party approve them."
    )
    approvals: int = Field(default=1, ge=1, le=5, description="How many different people have to approve such a job.")
    hold_days: float = Field(
        default=7.0, gt=0.0, le=90.0, description="Days after which a job that nobody approved is refused."
    )
    promotions: bool = Field(default=True, description="Let plans change which model is the champion here.")
    may_open: tuple[Opened, ...] = Field(
        default=tuple(o for o in Opened if o not in _ASKED_FOR),
        description="What plans may open (protos/PROTOCOL.md section 7).",
    )

    def check(self, plan: Request) -> None:
        """Raises PolicyError naming everything this party does not allow in `plan`."""
        may_open = set(self.may_open) | ({Opened.GRADIENTS} if self.owned_weights else set())
        may_open |= {Opened.GRID_REASONS} if self.reasons_per_row else set()
        may_open |= {Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS} if self.own_weights else set()
        may_open |= {Opened.POOLED_STEPS} if self.banks_alone else set()
        wrong = [f"opening {o.value!r}" for o in sorted(plan.allowed, key=lambda o: o.value) if o not in may_open]
        if isinstance(plan, SeveralPlan):
            wrong += ["grid = 'none' (banks_alone = false)"] if plan.alone and not self.banks_alone else []
            wrong += [f"min_live = {plan.min_live} (leave_out = false)"] if plan.min_live and not self.leave_out else []
            plan = plan.line(0)
        if isinstance(plan, Plan) and plan.matching not in self.matching:
            wrong.append(f"matching = {plan.matching!r}")
        if isinstance(plan, Plan) and plan.score_bits > self.finest_score_bits:
            wrong.append(f"score_bits = {plan.score_bits} (at most {self.finest_score_bits})")
        if isinstance(plan, ScorePlan) and plan.grid_reasons > self.reasons_per_row:
            wrong.append(f"grid_reasons = {plan.grid_reasons} (at most {self.reasons_per_row})")
        if isinstance(plan, PromotePlan) and not self.promotions:
            wrong.append("a promotion or rollback (promotions = false)")
        if isinstance(plan, PromotePlan):
            wrong += [
                f"{name} = true (overrides)" for name in ("force", "anew") if getattr(plan, name) and name not in self.overrides
            ]
        if isinstance(plan, TrainPlan):
            wrong += self._check_training(plan)
        if isinstance(plan, PredealPlan) and plan.undealt and not self.no_dealer:
            wrong.append("dealer = 'none' (no_dealer = false)")
        if wrong:
            raise not_allowed(wrong)

    def check_banks(self, plan: SeveralPlan, own: Identity) -> None:
        """Raises PolicyError for a plan of several banks with one that this party does not train with."""

    def check_path(self, fewest: int, numbers: int, *, strict: bool) -> str:
        """What to warn a bank of whose rows are too few if the grid and another bank followed the path of the weights, if so.

        fewest: of its rows that a step is over; numbers: steps times weights. strict: whether a bank that has said nothing
        of it refuses. Raises PolicyError where it does. PROTOCOL.md section 16.
        """
        return ""

    def _check_training(self, plan: TrainPlan) -> list[str]:
        wrong = []
        floors = {name: getattr(plan.limits, name) for name in type(plan.limits).model_fields}
        floors |= {name: getattr(plan.preparation, name) for name in ("min_binary", "min_bin_rows")}
        for name, value in floors.items():
            if value < (least := getattr(self, name)):
                wrong.append(f"{name} = {value} (at least {least})")
        if plan.preparation.coding == "woe" and (asked := plan.preparation.min_bin_class) != self.min_bin_class:
            wrong.append(f"min_bin_class = {asked} (only {self.min_bin_class})")  # held against counts of labels
        wrong += plan.model.refused(self)
        if (clip := plan.preparation.clip) > self.largest_clip:
            wrong.append(f"clip = {clip} (at most {self.largest_clip})")
        return wrong


def not_allowed(wrong: list[str]) -> PolicyError:
    """The error that names each thing a policy does not allow."""
    return PolicyError(
        "this party's policy does not allow: " + "; ".join(wrong),
        remedy="Change the plan, or agree with this party on its policy.",
    )
