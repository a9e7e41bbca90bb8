"""The bank's section `[monitor]`: as the grid's, and for months whose outcomes are known by now."""

from __future__ import annotations

from pydantic import Field

from common.monitor.config import MonitorConfig


class BankMonitorConfig(MonitorConfig):
    """Of matured months too an alarm asks that chance does not explain the change: see `bank_party.monitor.matured`."""

    auc_fall: float = Field(default=0.05, gt=0.0, le=0.5, description="Fall of a month's AUC below that of held-out rows.")
    calibration: float = Field(
        default=0.02, gt=0.0, le=1.0, description="Distance of a month's overdue rate from the expected one."
    )
    min_labels: int = Field(
        default=20, ge=2, description="Labels of each class that a month needs before it is measured or an alarm."
    )
    labels: tuple[str, ...] = Field(
        default=(), description="Datasets to look for matured labels in; default: all that have a label."
    )
