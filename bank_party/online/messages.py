"""What is asked and answered, as JSON: the models behind the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

MOST = 1000  # rows of one request

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


def _whole(value: object) -> object:
    """JSON may name half of a character (\\ud800), which no book holds; pydantic looks for it where text is meant alone."""
    if not isinstance(value, str | int | float | None):
        raise ValueError("a value is a number, a text, true, false or null")
    if isinstance(value, str) and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError("a text has half of a character")
    return value


_Value = WithJsonSchema({"type": ["number", "string", "boolean", "null"]})
Value = Annotated[Any, AfterValidator(_whole), _Value]  # held against the model's column
Given = Annotated[
    dict[str, Value],
    Field(description="The bank's columns of it by name, all that the model has, as they are now; null where unknown."),
]


class AskedRow(BaseModel):
    """One enterprise whose columns come with the request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Id
    columns: Given


def _named(field: str, kind: str, then: dict[str, Any], otherwise: dict[str, Any]) -> dict[str, Any]:
    """What holds of a request that has this field, and of one that lacks it, as JSON Schema has it."""
    return {"if": {"required": [field], "properties": {field: {"type": kind}}}, "then": then, "else": otherwise}


def _lacking(*fields: str) -> dict[str, Any]:
    return {"properties": {field: {"type": "null"} for field in fields}}


_ROWS = {"required": ["rows"], "properties": {"rows": {"type": "array"}}}
_SEVERAL = _lacking("columns") | _named("ids", "array", _lacking("rows"), _ROWS)
# No oneOf: programs that make clients make three types of it.
_ONE_OF = _named("id", "string", _lacking("ids", "rows"), _SEVERAL)


class Asked(BaseModel):
    """One enterprise, or some."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_ONE_OF)

    id: Id | None = Field(default=None, description="The enterprise, by the id that both companies have of it.")
    ids: list[Id] | None = Field(default=None, min_length=1, max_length=MOST, description="Or several of them.")
    columns: Given | None = Field(default=None, description="Of `id`: its row of the bank's dataset is not looked at then.")
    rows: list[AskedRow] | None = Field(default=None, min_length=1, max_length=MOST, description="Or several of them so.")
    period: Month | None = Field(
        default=None,
        description="The month whose rows are scored, YYYY-MM; default: the newest that both have. Only by period.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if sum(one is not None for one in (self.id, self.ids, self.rows)) != 1:
            raise ValueError("give id, or ids, or rows")
        if self.columns is not None and self.id is None:
            raise ValueError("columns are of id; give rows for several")
        return self

    @property
    def all(self) -> list[str]:
        return [self.id] if self.id is not None else self.ids or [row.id for row in self.rows or ()]

    @property
    def given(self) -> list[dict[str, Any]] | None:
        """The columns of each, where they come with the request."""
        if self.rows is not None:
            return [row.columns for row in self.rows]
        return None if self.columns is None else [self.columns]

    def known_by(self) -> dict[str, Any]:
        """What tells this request from others; of one without columns as it was before there were any."""
        found: dict[str, Any] = {"id": self.id, "ids": self.ids, "period": self.period}
        if self.columns is not None:
            found["columns"] = _numbered(self.columns)
        if self.rows is not None:
            found["rows"] = [{"id": row.id, "columns": _numbered(row.columns)} for row in self.rows]
        return found


def _numbered(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in columns.items()}


def _number(value: Any) -> Any:
    """A number as one of its writings: 41 is 41.0 to JSON, and to who asks by gRPC, where each is a double."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return float(value) if type(value) is int and 1 << 53 <= abs(value) < 1 << 1000 else value


class Result(BaseModel):
    """The decision about one enterprise; or why there is none."""

    id: str = Field(description="As it was asked for.")
    period: str | None = Field(default=None, description="The month of the row that was scored, of rows by period.")
    bank_columns: Literal["dataset", "request"] = Field(default="dataset", description="Where the bank's columns were from.")
    score: float | None = Field(default=None, description="Points: more are better.")
    grade: str | None = None
    decision: str | None = Field(default=None, description="approve, refer or decline.")
    probability: float | None = Field(default=None, description="Of being overdue, calibrated.")
    log_odds: float | None = Field(default=None, description="The joint score as the bank learns it, before calibration.")
    reasons: list[str] = Field(default=[], description="What speaks against it, the strongest first: of the bank's columns.")
    grid_reasons: list[str] | None = Field(
        default=None, description="Likewise of the grid's columns, as the grid words them; null where none are told."
    )
    refused: str | None = Field(default=None, description="Why this one was not scored.")


class Model(BaseModel):
    """The model that scored."""

    job: str = Field(description="The training job that made it.")
    version: int = Field(description="Its number in the registry.")


class Features(BaseModel):
    """How old the rows are."""

    bank_read: datetime | None = Field(
        description="When the bank's file of rows was last written; null where the request brought its own columns."
    )
    as_of: str | None = Field(
        description="The newest month scored here, at both companies; of rows without months it is not known."
    )


class Cost(BaseModel):
    """What the answer cost."""

    scores_charged: int = Field(
        description="Rows scored, decoys beside them too: the grid's ledger and both sides' daily rates were charged for them."
    )
    stock_left: int | None = Field(description="Rows that randomness dealt ahead still serves; null where none is needed.")


class Answered(BaseModel):
    """All that was asked for, in its order."""

    session: str = Field(description="The scoring job, as both companies list it.")
    model: Model
    results: list[Result]
    features: Features
    cost: Cost
    grid_reasons_untold: str | None = Field(
        default=None, description="Why no reasons of the grid are told, where [online] asks for them."
    )


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it, with what to do."""

    type: str = Field(description="about:blank, or a name of this kind of problem.")
    title: str
    status: int
    detail: str
    remedy: str
    field: str | None = Field(default=None, description="The field or header that is wrong.")


class Health(BaseModel):
    """Whether requests are served now."""

    serving: bool
    model: str | None = None
    stock_left: int | None = None
    runs_out: bool = Field(description="Whether stocks serve fewer rows than warn_rows, or last less than warn_hours.")
    lasts_until: datetime | None = Field(
        default=None, description="When stocks end, at the last day's pace; null: none needed."
    )
    why: str | None = Field(default=None, description="Why not.")
