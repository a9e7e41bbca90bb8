"""What a configuration declares of a dataset: where it is, how it is written, what its columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from common.config import StrictModel
from common.rows.formats.options import FileOptions
from common.rows.months import MonthFormat, Zone
from common.rows.numbers import PLAIN, Style, check_unit

Kind = Literal["numeric", "categorical"]
Missing = Literal["median", "mean", "zero", "mode", "category", "drop", "refuse"]

_ALLOWED_MISSING: dict[str, tuple[str, ...]] = {
    "numeric": ("median", "mean", "zero", "mode", "drop", "refuse"),
    "categorical": ("category", "mode", "drop", "refuse"),
}
_REASON = 60  # characters of a reason's text: at most 240 bytes


def is_reason(text: str) -> bool:
    """Whether `text` may stand in a list of reasons, whoever wrote it: nothing a terminal or a spreadsheet would run."""
    return 0 < len(text) <= _REASON and text[0].isalnum() and text.isprintable() and ";" not in text


class ColumnConfig(StrictModel):
    """How one feature column is read and prepared."""

    kind: Kind = Field(description="numeric, or categorical (one-hot encoded later).")
    min: float | None = Field(default=None, description="Smallest allowed value of a numeric column.")
    max: float | None = Field(default=None, description="Largest allowed value of a numeric column.")
    categories: tuple[str, ...] | None = Field(default=None, description="The allowed categories; any category when absent.")
    decimal: Literal[".", ","] = Field(default=".", description="The decimal mark of a numeric column's text.")
    thousands: Literal["", ",", ".", " ", "'"] = Field(default="", description="What may stand between thousands of it.")
    unit: str = Field(
        default="", max_length=20, description="What stands behind or before its numbers, such as kWh, 元 or %; 12% is 0.12."
    )
    missing: Missing = Field(
        default="median",
        description="What replaces an empty value: median, mean, zero or mode of a numeric column (default median);"
        " category (one of its own) or mode of a categorical column (default category). drop leaves the row out;"
        " refuse raises.",
    )
    malformed: Literal["refuse", "null"] = Field(
        default="refuse",
        description="What happens to text in a numeric column, a value out of range or an unknown category: refuse"
        " raises, null reads it as missing.",
    )
    transform: Literal["auto", "none", "signed_log"] = Field(
        default="none",
        description="signed_log maps x to sign(x) * log(1 + |x|); auto does so for a heavy-tailed numeric column only.",
    )
    monotone: Literal["increasing", "decreasing"] | None = Field(
        default=None,
        description="In which direction the risk may go with a numeric column; boosted trees of a plan with"
        " monotone = true keep it for all values that are there.",
    )
    reason: str | None = Field(
        default=None,
        description="What to tell an applicant against whom this column speaks; columns of one text count as one."
        " The grid never names a column without it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_by_kind(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("kind") == "categorical" and "missing" not in raw:
            return {**raw, "missing": "category"}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> ColumnConfig:
        if self.missing not in _ALLOWED_MISSING[self.kind]:
            raise ValueError(f"missing = {self.missing!r} does not suit a {self.kind} column")
        if self.kind == "categorical" and (self.min is not None or self.max is not None):
            raise ValueError("min and max are for numeric columns")
        if self.kind == "categorical" and self.transform == "signed_log":
            raise ValueError("transform is for numeric columns")
        if self.kind == "categorical" and self.monotone is not None:
            raise ValueError("monotone is for numeric columns")
        if self.kind == "numeric" and self.categories is not None:
            raise ValueError("categories are for categorical columns")
        if self.reason is not None and not is_reason(self.reason):
            raise ValueError("reason must be at most 60 printable characters, the first a letter or digit, without ';'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        if self.kind == "categorical" and self.style != PLAIN:
            raise ValueError("decimal, thousands and unit are for numeric columns")
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same")
        check_unit(self.unit)
        return self

    @property
    def style(self) -> Style:
        """How its numbers are written."""
        return Style(self.decimal, self.thousands, self.unit)


class DatasetConfig(FileOptions):
    """Where a table is and what its columns mean."""

    path: Path = Field(
        default=Path(), description="The CSV, Parquet or Excel file (a header above rows), a folder of such, or a pattern."
    )
    features: Path | None = Field(
        default=None, description="Instead of path and all that describes it: a file that `features` made, which says all."
    )
    id: str = Field(default="", description="The column of enterprise ids, by which the two companies' rows are matched.")
    period: str | None = Field(
        default=None, description="The column of months, however they are written; absent for one row a company."
    )
    month_format: MonthFormat | None = Field(
        default=None, description="How months are written, where that is not certain: '%d/%m/%Y', excel, epoch_s ..."
    )
    zone: Zone | None = Field(
        default=None, description="The time zone in which instants are months, such as Asia/Shanghai; required where there are."
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Further words and numbers that mean that nothing is known, such as '-' or '-9999'."
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="What stands before decimals in columns that do not tell: 12,345 alone may be either."
    )
    label: str | None = Field(default=None, description="The column of 0/1 outcomes; at the bank only.")
    label_values: dict[str, Literal[0, 1]] = Field(
        default_factory=dict,
        description='What the words of the label mean, where they are not 1 and 0: { "是" = 1, "否" = 0 }.',
    )
    columns: dict[str, ColumnConfig] = Field(
        default_factory=dict, description="The feature columns to read; when empty, all others of the file, inferred."
    )

    @model_validator(mode="after")
    def _one_role_a_column(self) -> DatasetConfig:
        if self.features is not None:
            return self._of_features(self.features)
        if self.path == Path() or not self.id:
            raise ValueError("give path and id, or features")
        if self.label_values and self.label is None:
            raise ValueError("label_values are for a dataset with a label")
        if self.label_values and set(self.label_values.values()) != {0, 1}:
            raise ValueError("label_values must have a word for 1 and one for 0, such as 是=1,否=0")
        keys = [key for key in (self.id, self.period, self.label) if key is not None]
        if len(set(keys)) < len(keys):
            raise ValueError("id, period and label must be different columns")
        for key in keys:
            if key in self.columns:
                raise ValueError(f"column {key!r} is the id, period or label and cannot be a feature")
        return self

    def _of_features(self, path: Path) -> DatasetConfig:
        """What a file of features says of itself is not told again."""
        if told := sorted(self.model_fields_set - {"features", "columns"}):
            raise ValueError(f"{', '.join(told)}: the file of `features` says it itself; remove it here")
        return self
