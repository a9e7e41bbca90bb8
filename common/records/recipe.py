"""Recipes: how a feature is made of monthly records, as data. The catalogue, with formulas, is RECIPES.md.

A recipe's value at month t comes from months up to t - lag and no later one. It is missing where what it needs is.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from common.config import StrictModel
from common.records import windows
from common.records.held import Codes
from common.records.panel import Panel
from common.records.windows import Mask, Values

LABEL = "label"
"""The field name by which recipes mean the label: the repayment record itself."""

Window = Annotated[int, Field(ge=1, le=120, description="How many months, the last one included.")]
Least = Annotated[
    int | None,
    Field(ge=1, le=120, description="Months that must be known, else missing; default: half the window, rounded up."),
]
Cap = Annotated[float | None, Field(gt=0, description="Values beyond this or its negative are set to it.")]
Relative = Annotated[bool, Field(description="Divided by the window's mean magnitude; 0 where every value is 0.")]
_NAME = r"^\w[\w.\-]*$"
_WORDS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le", "=": "eq", "!=": "ne"}


class Base(StrictModel):
    """The keys that every recipe has. categories: whether a categorical field will do, too."""

    categories: ClassVar[bool] = False
    name: str = Field(
        default="", max_length=80, pattern=rf"{_NAME}|^$", description="The feature's column; derived when absent."
    )

    @property
    def column(self) -> str:
        """`name`, or one derived from the rest, such as `consumption_mean_6` or `pay_last_lag1`."""
        return self.name or self._derived()

    @property
    def fields(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def evaluate(self, panel: Panel) -> Values | Codes:
        """(E, M), the feature of each enterprise as of each month."""

    @abstractmethod
    def _derived(self) -> str: ...


class OfField(Base):
    """A recipe of one field, `lag` months ago."""

    field: str = Field(description="A field of the records, or `label`: the repayment record.")
    lag: int = Field(default=0, ge=0, le=120, description="The value is as of this many months earlier.")

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.field,)

    def evaluate(self, panel: Panel) -> Values | Codes:
        given: Any = panel.categorical[self.field] if self.field in panel.categorical else field_of(panel, self.field)
        now = self._now(given)
        if isinstance(now, Codes):
            return Codes(windows.ago(now.codes, self.lag, -1), now.levels)
        return windows.ago(now, self.lag, np.nan)

    @abstractmethod
    def _now(self, values: Any) -> Values | Codes:
        """The feature before the lag; of a categorical field, `values` are Codes."""

    def _derived(self) -> str:
        return f"{self.field}_{self._what()}" + (f"_lag{self.lag}" if self.lag else "")

    def _what(self) -> str:
        return str(getattr(self, "kind", ""))


class OfWindow(OfField):
    """A recipe of one field over a trailing window."""

    fewest: ClassVar[int] = 1
    window: Window
    min_months: Least = None

    @property
    def least(self) -> int:
        return self.min_months or max(self.fewest, half(self.window))

    @model_validator(mode="after")
    def _possible(self) -> OfWindow:
        if not self.fewest <= self.least <= self.window:
            raise ValueError(
                f"a window of {self.window} months cannot have the {max(self.fewest, self.least)} known ones it needs"
            )
        return self

    def _what(self) -> str:
        return f"{super()._what()}_{self.window}"


class OfEvents(OfWindow):
    """A recipe of the months in which a field's value meets a condition. An unknown value does not."""

    when: Literal[">", ">=", "<", "<=", "=", "!="] = Field(default=">", description="How a month's value is compared.")
    threshold: float = Field(default=0.0, description="What it is compared with.")

    def events(self, values: Values) -> Mask:
        known = ~np.isnan(values)
        compare = {
            ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal, "!=": np.not_equal
        }[self.when]  # fmt: skip
        return np.asarray(compare(values, self.threshold) & known, dtype=np.bool_)

    def _what(self) -> str:
        plain = (self.when, self.threshold) == (">", 0.0)
        return super()._what() + ("" if plain else f"_{_WORDS[self.when]}_{self.threshold:g}".replace("-", "minus"))

    def _known(self, values: Values) -> windows.Counts:
        return windows.count(~np.isnan(values), self.window)


class Last(OfField):
    """The month's value, or the last known one of a longer window."""

    categories: ClassVar[bool] = True
    kind: Literal["last"]
    window: Window = 1

    def _now(self, values: Values | Codes) -> Values | Codes:
        if isinstance(values, Codes):
            return Codes(windows.latest(values.codes, self.window, values.codes >= 0), values.levels)
        return windows.latest(values, self.window, ~np.isnan(values))

    def _what(self) -> str:
        return "last" if self.window == 1 else f"last_{self.window}"


class Static(OfField):
    """A value that hardly changes: the last one known up to the month, however old."""

    categories: ClassVar[bool] = True
    kind: Literal["static"]

    def _now(self, values: Values | Codes) -> Values | Codes:
        if isinstance(values, Codes):
            return Codes(windows.carried(values.codes, values.codes >= 0), values.levels)
        return windows.carried(values, ~np.isnan(values))


class Mean(OfWindow):
    """The mean of the known values."""

    kind: Literal["mean"]

    def _now(self, values: Values) -> Values:
        return windows.mean(values, self.window, self.least)


class Sum(OfWindow):
    """The sum of the known values."""

    kind: Literal["sum"]

    def _now(self, values: Values) -> Values:
        known = windows.count(~np.isnan(values), self.window)
        return windows.require(windows.total(values, self.window), known, self.least)


class Max(OfWindow):
    """The largest known value."""

    kind: Literal["max"]

    def _now(self, values: Values) -> Values:
        known = windows.count(~np.isnan(values), self.window)
        return windows.require(windows.largest(values, self.window), known, self.least)


class Min(OfWindow):
    """The smallest known value."""

    kind: Literal["min"]

    def _now(self, values: Values) -> Values:
        known = windows.count(~np.isnan(values), self.window)
        return windows.require(-windows.largest(-values, self.window), known, self.least)


class Trend(OfWindow):
    """The least-squares slope, a month."""

    fewest: ClassVar[int] = 2
    kind: Literal["trend"]
    relative: Relative = True

    def _now(self, values: Values) -> Values:
        slope = windows.slope(values, self.window, self.least)
        return scaled(slope, values, self.window) if self.relative else slope

    def _what(self) -> str:
        return super()._what() + ("" if self.relative else "_abs")


class Volatility(OfWindow):
    """The standard deviation."""

    fewest: ClassVar[int] = 2
    kind: Literal["volatility"]
    relative: Relative = True

    def _now(self, values: Values) -> Values:
        deviation = windows.deviation(values, self.window, self.least)
        return scaled(deviation, values, self.window) if self.relative else deviation

    def _what(self) -> str:
        return super()._what() + ("" if self.relative else "_abs")


class Count(OfEvents):
    """How many months meet the condition."""

    kind: Literal["count"]

    def _now(self, values: Values) -> Values:
        counts = windows.count(self.events(values), self.window).astype(np.float64)
        return windows.require(counts, self._known(values), self.least)


class Share(OfEvents):
    """The share of the known months that meet the condition."""

    kind: Literal["share"]

    def _now(self, values: Values) -> Values:
        known = self._known(values)
        return windows.require(windows.count(self.events(values), self.window) / np.maximum(known, 1), known, self.least)


class Since(OfEvents):
    """Months since the last one that met the condition; the window's length if none did."""

    kind: Literal["since"]

    def _now(self, values: Values) -> Values:
        months = windows.since(self.events(values), self.window).astype(np.float64)
        return windows.require(months, self._known(values), self.least)


class Utilisation(OfWindow):
    """The month's value over the window's largest; missing where that is not above 0."""

    kind: Literal["utilisation"]

    def _now(self, values: Values) -> Values:
        known = windows.count(~np.isnan(values), self.window)
        return windows.require(over(values, windows.largest(values, self.window), None), known, self.least)


class Growth(OfWindow):
    """The window's mean over that of the window `months` earlier, less 1; missing where the earlier is not above 0."""

    kind: Literal["growth"]
    window: Window = 1
    months: int = Field(default=12, ge=1, le=120, description="How many months apart.")
    cap: Cap = None

    def _now(self, values: Values) -> Values:
        mean = windows.mean(values, self.window, self.least)
        growth = over(mean, windows.ago(mean, self.months, np.nan), None) - 1.0
        return growth if self.cap is None else np.clip(growth, -self.cap, self.cap)

    def _what(self) -> str:
        return f"growth_{self.months}" + (f"_of_{self.window}" if self.window > 1 else "")


class Bucket(OfField):
    """The interval that the month's value is in, as a category."""

    kind: Literal["bucket"]
    edges: tuple[float, ...] = Field(
        min_length=1, max_length=100, description="Ascending. Intervals are up to and including an edge; the last is beyond."
    )
    labels: tuple[str, ...] | None = Field(default=None, description="Names of the intervals, one more than edges.")

    @model_validator(mode="after")
    def _matching(self) -> Bucket:
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must ascend")
        if len(set(self.levels)) != len(self.edges) + 1 or "" in self.levels:
            raise ValueError(f"{len(self.edges)} edges need {len(self.edges) + 1} different labels")
        return self

    @property
    def levels(self) -> tuple[str, ...]:
        if self.labels is not None:
            return self.labels
        inner = [f"({a:g}, {b:g}]" for a, b in zip(self.edges, self.edges[1:], strict=False)]
        return (f"<= {self.edges[0]:g}", *inner, f"> {self.edges[-1]:g}")

    def _now(self, values: Values) -> Codes:
        codes = np.searchsorted(np.array(self.edges), values, side="left").astype(np.int16)
        codes[np.isnan(values)] = -1
        return Codes(codes, self.levels)


class Ratio(Base):
    """A field's mean over a window by another's; missing where the denominator is not above 0."""

    kind: Literal["ratio"]
    numerator: str = Field(description="The field above.")
    denominator: str = Field(description="The field below.")
    lag: int = Field(default=0, ge=0, le=120, description="The value is as of this many months earlier.")
    window: Window = 1
    denominator_window: int | None = Field(default=None, ge=1, le=120, description="The denominator's; default: the same.")
    denominator_lag: int = Field(default=0, ge=0, le=120, description="The denominator is of this many months before.")
    cap: Cap = None

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.numerator, self.denominator)

    def evaluate(self, panel: Panel) -> Values:
        below = self.denominator_window or self.window
        above = windows.mean(field_of(panel, self.numerator), self.window, half(self.window))
        base = windows.mean(field_of(panel, self.denominator), below, half(below))
        return windows.ago(over(above, windows.ago(base, self.denominator_lag, np.nan), self.cap), self.lag, np.nan)

    def _derived(self) -> str:
        below = self.denominator_window or self.window
        parts = [self.numerator, f"{self.window}" * (self.window > 1), "over", self.denominator, f"{below}" * (below > 1)]
        parts += [f"before{self.denominator_lag}" * (self.denominator_lag > 0), f"lag{self.lag}" * (self.lag > 0)]
        return "_".join(part for part in parts if part)


class Age(Base):
    """Months since the enterprise's first record; 0 in that month."""

    kind: Literal["age"]

    def evaluate(self, panel: Panel) -> Values:
        seen = np.maximum.accumulate(panel.present, axis=1)
        return np.where(seen, np.cumsum(seen, axis=1) - 1.0, np.nan)

    def _derived(self) -> str:
        return "age"


def half(window: int) -> int:
    return (window + 1) // 2


def field_of(panel: Panel, field: str) -> Values:
    """The numbers of a field that `entries.check` has found to be there."""
    return panel.label if field == LABEL and panel.label is not None else panel.numeric[field]


def scaled(measure: Values, values: Values, window: int) -> Values:
    """`measure` over the window's mean of |values|, 0 where that is 0."""
    magnitude = windows.mean(np.abs(values), window, 1)
    zero = magnitude == 0
    return np.asarray(np.where(zero, measure * 0.0, measure / np.where(zero, 1.0, magnitude)), dtype=np.float64)


def over(above: Values, below: Values, cap: float | None) -> Values:
    """above / below, missing where below is not above 0, clipped to +-cap."""
    ratio = above / np.where(below > 0, below, np.nan)
    return ratio if cap is None else np.clip(ratio, -cap, cap)


Recipe = Annotated[
    Last | Static | Mean | Sum | Max | Min | Trend | Volatility | Count | Share | Since | Utilisation | Ratio | Growth | Bucket
    | Age,
    Field(discriminator="kind"),
]  # fmt: skip
