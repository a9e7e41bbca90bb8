"""Which (enterprise, month) pairs become rows."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from common.config import StrictModel
from common.errors import DataError
from common.records.panel import Panel
from common.records.windows import Mask, Values
from common.rows.months import Month, month_number, month_text


class Samples(StrictModel):
    """A sample is an enterprise in a month of which there is a record, with enough of them before."""

    first: Month | None = Field(default=None, description="The first month of samples, YYYY-MM; default: the first there is.")
    last: Month | None = Field(default=None, description="The last month of samples; default: the last there is.")
    every: int = Field(
        default=1, ge=1, le=12, description="Every so many months of the calendar: 3 is March, June, September and December."
    )
    min_history: int = Field(
        default=6, ge=1, le=120, description="Months with a record that an enterprise needs, the sample's month included."
    )
    ahead: int = Field(
        default=0, ge=0, le=24, description="The label is the repayment record of so many months later; 0: of the same month."
    )
    labelled: bool = Field(
        default=True, description="Where there are labels, only samples with a known one; false, to score, writes none."
    )
    outcomes: tuple[str, ...] = Field(
        default=(),
        description="Fields known only once the label is, such as days late of the repayment: as it, in the past only.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Samples:
        if self.first and self.last and self.first > self.last:
            raise ValueError("first is after last")
        return self


def chosen(panel: Panel, samples: Samples) -> tuple[Mask, Values | None]:
    """((E, M), which pairs are samples; (E, M), their label as of the sample's month, or None).

    Raises DataError if there is none.
    """
    mask, label = _eligible(panel, samples), _outcomes(panel, samples)
    if label is not None:
        mask &= ~np.isnan(label)
    if not mask.any():
        message = "no enterprise and month has what a sample needs"
        raise DataError(message, public=message, remedy="Check first, last and min_history, and that labels are known.")
    return mask, label


def left_out(panel: Panel, samples: Samples) -> tuple[list[str], int]:
    """What `chosen` leaves out as no label is known: the newest months, YYYY-MM, of which it is so of all; other samples."""
    mask, label = _eligible(panel, samples), _outcomes(panel, samples)
    if label is None:
        return [], 0
    without = mask & np.isnan(label)
    known = np.flatnonzero((mask & ~without).any(axis=0)).max(initial=-1)
    open_ = without.any(axis=0) & (np.arange(panel.months) > known)
    return [month_text(panel.first + int(t)) for t in np.flatnonzero(open_)], int(without[:, ~open_].sum())


def _eligible(panel: Panel, samples: Samples) -> Mask:
    """The pairs that would be samples if every label were known, (E, M)."""
    months = panel.first + np.arange(panel.months)
    wanted = (months + 1) % samples.every == 0
    wanted &= months >= (month_number(samples.first) if samples.first else 0)
    wanted &= months <= (month_number(samples.last) if samples.last else months[-1:].max(initial=0))
    history = np.cumsum(panel.present, axis=1, dtype=np.min_scalar_type(panel.months))
    mask: Mask = panel.present & wanted & (history >= samples.min_history)
    return mask


def _outcomes(panel: Panel, samples: Samples) -> Values | None:
    """The labels as of the samples' months, (E, M); None where none are asked for, or there are none."""
    return _ahead(panel.label, samples.ahead) if samples.labelled and panel.label is not None else None


def _ahead(label: Values, months: int) -> Values:
    result = np.full_like(label, np.nan)
    result[:, : max(0, label.shape[1] - months)] = label[:, months:]
    return result
