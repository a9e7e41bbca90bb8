"""What each bank asks of its own rows, and the grid of each bank's, before all train together. PROTOCOL.md section 16."""

from __future__ import annotations

from common.errors import PeerProtocolError, PolicyError
from common.match.agree import MatchLimits
from common.plan.policy import Policy
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable
from common.stages.sizes import TOO_FEW, TOO_FEW_REMEDY


def limits_of(plan: TrainPlan, policy: Policy) -> MatchLimits:
    """Of each pair's matching."""
    return MatchLimits(max_ids=policy.max_ids, min_matched=max(plan.limits.min_matched, policy.min_matched))


def check_enterprises(table: FeatureTable, least: int) -> None:
    """Raises PolicyError for a bank of fewer enterprises than plan and policy want of what trains without a grid."""
    found = len(table.ids.used())
    if found < least:
        raise PolicyError(
            f"{found} enterprises of this bank are too few", expected=f"at least {least} (min_matched)", got=found,
            remedy=TOO_FEW_REMEDY, public=TOO_FEW,
        )  # fmt: skip


def check_own(train: int, held: int, policy: Policy) -> None:
    """Raises PolicyError for a bank of less than half the rows that its policy wants of all, or with none held out."""
    least = -(-policy.min_rows // 2)
    if train < least or not held:
        raise PolicyError(
            f"{train} training rows of this bank, and {held} held out, are too few",
            expected=f"at least {least} (half of min_rows)",
            got=train,
            remedy=TOO_FEW_REMEDY,
            public=TOO_FEW,
        )


def check_counts(train: int, matched: int, own_train: int, own_matched: int) -> None:
    """Raises PeerProtocolError where the grid counts no more rows than this bank has, or more to train than match."""
    if not (own_train < train <= matched and own_matched < matched):
        message = "the grid counts other rows of all banks than there can be"
        expected = f"more than {own_train} to train, of more than {own_matched}"
        raise PeerProtocolError(message, expected=expected, got=f"{train} of {matched}", public=message)
