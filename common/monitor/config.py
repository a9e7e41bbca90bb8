"""The `[monitor]` section of a party: from where on a change is an alarm. Read anew by each look at the history."""

from __future__ import annotations

from pydantic import Field

from common.config import StrictModel


class MonitorConfig(StrictModel):
    """Every alarm also asks that chance does not explain the change: see `stats.psi` and `bank_party.monitor.matured`."""

    psi: float = Field(
        default=0.2, gt=0.0, le=100.0, description="Stability index of a column or the score, above which a month is an alarm."
    )
    missing: float = Field(
        default=0.05, gt=0.0, le=1.0, description="Rise of a column's share of missing values, above which a month is an alarm."
    )
    auc_fall: float = Field(
        default=0.05, gt=0.0, le=0.5, description="At the bank: fall of a month's AUC below that of held-out rows."
    )
    calibration: float = Field(
        default=0.02, gt=0.0, le=1.0, description="At the bank: distance of a month's overdue rate from the expected one."
    )
    min_labels: int = Field(
        default=20, ge=2, description="At the bank: labels of each class that a month needs before it is measured or an alarm."
    )
    labels: tuple[str, ...] = Field(
        default=(), description="At the bank: datasets to look for matured labels in; default: all that declare a label."
    )
