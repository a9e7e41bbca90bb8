"""What a party says of its monthly records: where they are, which column is which field, and how each is cleaned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from common.config import StrictModel, read_toml, validate
from common.errors import ConfigError
from common.records.entries import Entries
from common.records.fields import KNOWN
from common.records.samples import Samples
from common.rows.formats.options import FileOptions
from common.rows.months import Month, MonthFormat, Zone
from common.rows.numbers import Style, check_unit

Rule = Literal["drop", "null", "refuse"]
RangeRule = Literal["drop", "clip", "null", "refuse"]
OutlierRule = Literal["keep", "drop", "clip", "null", "refuse"]


class Sql(StrictModel):
    """A database, read through SQLAlchemy. Its URL holds a password, so it is never in this file, a message or a report."""

    url_env: str | None = Field(default=None, description="The environment variable that holds the URL.")
    url_file: Path | None = Field(
        default=None, description="The file that holds it (0600), read where url_env is not given or not set."
    )
    table: str | None = Field(default=None, description="The table or view to read, as NAME or SCHEMA.NAME.")
    query: str | None = Field(default=None, description="Or a query.")
    chunk: int = Field(default=50_000, ge=1, description="Rows fetched at a time.")
    elsewhere: ClassVar[Mapping[str, str]] = {
        "url": "a URL holds a password: name the environment variable that holds it in source.sql.url_env, or a file of mode"
        " 0600 in source.sql.url_file"
    }

    @model_validator(mode="after")
    def _one_of_each(self) -> Sql:
        if self.url_env is None and self.url_file is None:
            raise ValueError("give url_env or url_file")
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self

    def url(self) -> str:
        """The URL itself. Raises ConfigError where there is none, or a file others may read."""
        text, where = "", f"source.sql.url_env: the environment variable {self.url_env}"
        if self.url_env is not None:
            text = os.environ.get(self.url_env, "").strip()
        if not text and self.url_file is not None:
            text, where = _secret(self.url_file).strip(), f"source.sql.url_file: {self.url_file}"
        if not text:
            raise ConfigError(
                f"{where} is empty or not set", remedy="It holds a URL: postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
            )
        return text


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"source.sql.url_file: others may read {path}", remedy=f"Run: chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"source.sql.url_file: {path} cannot be read ({type(error).__name__})") from None


class Source(FileOptions):
    """The source of the records: files, or a database."""

    path: tuple[str, ...] = Field(
        default=(),
        description="The files, CSV, Parquet or Excel with a header: a path, a folder, a glob or a list; m-2 before m-10.",
    )
    sql: Sql | None = Field(default=None, description="A database instead of files.")
    months: tuple[Month, ...] = Field(
        default=(), description="For a wide source, one row an enterprise: the month of each place in a list of columns."
    )

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_many(cls, raw: Any) -> Any:
        return (raw,) if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _files_or_sql(self) -> Source:
        if bool(self.path) == (self.sql is not None):
            raise ValueError("give either path or [source.sql]")
        if len(set(self.months)) < len(self.months):
            raise ValueError("months names a month twice")
        return self


class Keys(StrictModel):
    """Which rows belong together."""

    id: str = Field(description="The column of enterprise ids.")
    month: str | None = Field(
        default=None, description="The column of months, however they are written; none in a wide source."
    )
    month_format: MonthFormat | None = Field(
        default=None, description="How months are written, where that is not certain: '%d/%m/%Y', '%b-%y', excel, epoch_s ..."
    )
    zone: Zone | None = Field(
        default=None, description="The time zone in which instants are months, such as Asia/Shanghai; required where there are."
    )
    id_check: Literal["none", "uscc"] = Field(
        default="none", description="uscc: ids are unified social credit codes (GB 32100-2015) with a right check digit."
    )
    bad_id: Literal["drop", "refuse"] = Field(default="refuse", description="Rows whose id is empty or fails the check.")
    bad_month: Literal["drop", "refuse"] = Field(default="refuse", description="Rows whose month is none, or out of range.")
    first: Month = Field(default="2000-01", description="The earliest month that can be right.")
    last: Month = Field(default="2099-12", description="The latest month that can be right.")


class Outliers(StrictModel):
    """The rule for values too far from the middle of a field, judged on the values other than zero."""

    rule: OutlierRule = Field(
        default="keep", description="keep, clip to the bound, null (read as missing), drop the row, or refuse."
    )
    method: Literal["mad", "iqr"] = Field(
        default="mad",
        description="mad: beyond `spread` robust deviations (1.4826 MAD) from the median. iqr: beyond the quartiles by"
        " `spread` times their distance.",
    )
    scale: Literal["log", "linear"] = Field(default="log", description="Judged on sign(x) log(1 + |x|), or on x.")
    side: Literal["high", "both"] = Field(
        default="high", description="high: large values only, since a small one may be the news; or both."
    )
    spread: float = Field(default=6.0, gt=0, description="How far is too far.")


class FieldConfig(StrictModel):
    """One field: its column, what its values can be, and what happens to others."""

    column: str | tuple[str, ...] = Field(
        description="Its column; in a wide source a list, one for each of source.months, or one that holds for all."
    )
    kind: Literal["numeric", "flag", "categorical"] = Field(
        default="numeric", description="numeric; flag: 0 or 1; categorical: text."
    )
    role: Literal["feature", "label"] = Field(
        default="feature", description="label: 1 where the month's repayment is overdue, else 0; at the bank only."
    )
    label_month: Month | None = Field(default=None, description="In a wide source, the month of a label given once a row.")
    values: dict[str, float] = Field(
        default_factory=dict, description='Texts that stand for numbers, such as { "是" = 1, "否" = 0 }.'
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Further texts or numbers that mean missing, such as -9999; empty, NA, null and none always do."
    )
    malformed: Rule = Field(
        default="null", description="Text where a number belongs, or a category not listed: null, drop the row, or refuse."
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="The decimal mark of numbers written as text; told by all of the column when absent."
    )
    thousands: Literal["", ",", ".", " ", "'"] | None = Field(
        default=None, description="What may stand between thousands of such; told by all of the column when absent."
    )
    unit: str | None = Field(
        default=None,
        max_length=20,
        description="What may stand behind or before such, as kWh, 元 or % (12% is 0.12); told by all of it when absent.",
    )
    negative: Literal["net", "gross", "null"] | None = Field(
        default=None,
        description="Values below 0, as of a solar roof that feeds in: net keeps them, gross makes them 0, null missing;"
        " when absent, min and impossible hold.",
    )
    several: Literal["sum", "max", "min", "last", "any"] | None = Field(
        default=None,
        description="Of rows that share id and month, as of several meters or loans: their sum, largest, smallest or last"
        " value, or 1 where any is 1. When absent they must agree: cleaning.duplicates.",
    )
    factor: float = Field(default=1.0, gt=0, description="Numbers are multiplied by this, to come into the unit meant.")
    min: float | None = Field(default=None, description="The smallest possible value, in the unit meant.")
    max: float | None = Field(default=None, description="The largest possible value, in the unit meant.")
    impossible: RangeRule = Field(default="null", description="Values outside: null, clip, drop the row, or refuse.")
    categories: tuple[str, ...] | None = Field(default=None, description="The categories there are; any when absent.")
    outliers: Outliers = Field(default=Outliers(), description="The robust rule for a numeric field.")

    @model_validator(mode="after")
    def _consistent(self) -> FieldConfig:
        categorical = self.kind == "categorical"
        if categorical and (self.min is not None or self.max is not None or self.values or self.factor != 1.0):
            raise ValueError("min, max, factor and values are for numeric fields")
        if not categorical and self.categories is not None:
            raise ValueError("categories are for categorical fields")
        if categorical and (self.negative or self.several not in (None, "last") or self.style is not None):
            raise ValueError("negative, several (but for last), decimal, thousands and unit are for numeric fields")
        if self.kind != "numeric" and self.outliers.rule != "keep":
            raise ValueError("outliers are for numeric fields")
        check_unit(self.unit or "")
        if self.role == "label" and self.kind != "flag":
            raise ValueError("a label is of kind flag")
        if self.label_month is not None and (self.role != "label" or not isinstance(self.column, str)):
            raise ValueError("label_month is for a label of one column")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def style(self) -> Style | None:
        """How its numbers are written, if that is declared."""
        if (self.decimal, self.thousands, self.unit) == (None, None, None):
            return None
        return Style(self.decimal or ".", self.thousands or "", self.unit or "")

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and largest possible value."""
        low, high = (0.0, 1.0) if self.kind == "flag" else (self.min, self.max)
        return -float("inf") if low is None else low, float("inf") if high is None else high


class Cleaning(StrictModel):
    """Rules over rows."""

    duplicates: Literal["first", "last", "null", "drop", "refuse"] = Field(
        default="refuse",
        description="Rows of one id and month that differ: keep the first or last, null what differs, drop all, or refuse."
        " Equal ones become one row in any case.",
    )
    gaps: Rule = Field(
        default="null",
        description="Months without a record between an enterprise's first and last: null leaves them missing, drop leaves out"
        " the enterprise, refuse raises.",
    )
    max_gap: int = Field(default=0, ge=0, description="Consecutive missing months up to so many are no gap to drop or refuse.")
    outliers_until: Month | None = Field(
        default=None, description="Bounds of outliers come from records up to this month; from all when absent."
    )


class Output(StrictModel):
    """Names of the columns of the feature file that are no features."""

    id: str = Field(default="enterprise_id", min_length=1, description="Of the ids.")
    month: str = Field(default="month", min_length=1, description="Of the samples' months.")
    label: str = Field(default="overdue", min_length=1, description="Of the label, where there is one.")


class RecordsConfig(StrictModel):
    """`wattscore features`: one party's records, made into features by itself."""

    party: Literal["grid", "bank"] = Field(description="Whose records: grid or bank.")
    source: Source = Field(description="Where the records are.")
    keys: Keys = Field(description="The columns of id and month.")
    fields: dict[str, FieldConfig] = Field(
        min_length=1, description="The fields by name; a known name has defaults of its own."
    )
    cleaning: Cleaning = Field(default=Cleaning(), description="Rules over rows.")
    samples: Samples = Field(default=Samples(), description="Which enterprises and months become rows.")
    recipes: Entries = Field(default=(), description="How features are made; a default set for the party when there is none.")
    output: Output = Field(default=Output(), description="Names of columns in the feature file.")

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, raw: Any) -> Any:
        """`name = "COLUMN"` is short for `name = { column = "COLUMN" }`; known fields take their defaults."""
        if not isinstance(raw, dict) or not isinstance(raw.get("fields"), dict):
            return raw
        known = KNOWN.get(raw.get("party", ""), {})
        return {**raw, "fields": {name: _filled(name, field, known.get(name, {})) for name, field in raw["fields"].items()}}

    @model_validator(mode="after")
    def _fits(self) -> RecordsConfig:
        labels = [name for name, field in self.fields.items() if field.role == "label"]
        if self.party == "grid" and labels:
            raise ValueError(f"fields.{labels[0]}: the grid has no label")
        if len(labels) > 1:
            raise ValueError(f"fields {', '.join(labels)}: there can be one label only")
        if bool(self.source.months) == (self.keys.month is not None):
            raise ValueError("give keys.month, or source.months for a wide source")
        if "label" in self.fields and "label" not in labels:
            raise ValueError("fields.label: recipes mean the label by this name; give the field another, or role = 'label'")
        for name, field in self.fields.items():
            self._check_columns(name, field)
        return self

    def _check_columns(self, name: str, field: FieldConfig) -> None:
        months = len(self.source.months)
        if not isinstance(field.column, str) and len(field.column) != months:
            raise ValueError(f"fields.{name}: {len(field.column)} columns for {months} months of source.months")
        if field.label_month is not None and not months:
            raise ValueError(f"fields.{name}: label_month is for a wide source")
        if field.role == "label" and months and isinstance(field.column, str) and field.label_month is None:
            raise ValueError(f"fields.{name}: say of which month the label is, by label_month")
        if {self.keys.id, self.keys.month} & set(field.columns):
            raise ValueError(f"fields.{name}: the column of ids or months cannot be a field")

    @property
    def label(self) -> str | None:
        return next((name for name, field in self.fields.items() if field.role == "label"), None)

    @property
    def columns(self) -> list[str]:
        """Every column of the source that is read, once."""
        keys = [self.keys.id] + ([self.keys.month] if self.keys.month else [])
        return list(dict.fromkeys(keys + [c for field in self.fields.values() for c in field.columns]))


def _filled(name: str, field: Any, known: dict[str, Any]) -> Any:
    given = {"column": field} if isinstance(field, str | list | tuple) else field
    if not isinstance(given, dict):
        return field
    if isinstance(known.get("outliers"), dict) and isinstance(given.get("outliers"), dict):
        given = {**given, "outliers": {**known["outliers"], **given["outliers"]}}
    known = {} if given.get("kind", known.get("kind")) != known.get("kind") else known
    return {"column": name, **known, **given}


def load_records(path: Path) -> RecordsConfig:
    """The configuration at `path`; paths in it are relative to its folder. Raises ConfigError."""
    raw, folder = read_toml(path), path.resolve().parent
    source = raw.get("source")
    if isinstance(source, dict):
        given = source.get("path", [])
        given = [given] if isinstance(given, str) else given
        if isinstance(given, list) and given:
            source["path"] = [str(folder / p) if isinstance(p, str) else p for p in given]
        sql = source.get("sql")
        if isinstance(sql, dict) and isinstance(sql.get("url_file"), str):
            sql["url_file"] = str(folder / sql["url_file"])
    return validate(RecordsConfig, raw, str(path))
