"""The `[monitor]` section of a party: from where on a change is an alarm. Read anew by each look at the history."""

from __future__ import annotations

from pydantic import Field

from common.config import StrictModel


class MonitorConfig(StrictModel):
    """Every alarm also asks that chance does not explain the change: see `stats.psi`."""

    psi: float = Field(
        default=0.2, gt=0.0, le=100.0, description="Stability index of a column or the score, above which a month is an alarm."
    )
    missing: float = Field(
        default=0.05, gt=0.0, le=1.0, description="Rise of a column's share of missing values, above which a month is an alarm."
    )
