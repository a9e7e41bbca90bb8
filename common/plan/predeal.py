"""A plan that deals ahead what one training consumes, or the scoring of so many rows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from common.plan.request import OneBank
from common.plan.sections import DEFAULT, AnySection

AT_ONCE = 64  # stocks that a party may hold


class PredealPlan(OneBank):
    """Deal ahead what one training of this size consumes, or one scoring; both parties store it and use it once."""

    kind: Literal["predeal"] = "predeal"
    serves: Literal["training", "scores"] = Field(
        default="training", description="training: one training; scores: one scoring job by a model that nobody holds."
    )
    model: AnySection = Field(
        default=DEFAULT, description="How to train, as in the training plan; for scores the learner alone."
    )
    rows: int = Field(ge=1, le=2**31, description="Rows to train on, or to score: at least as many as there will be.")
    grid_columns: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="The grid's trained columns: for scores those of the model, for a training a few more; required but for"
        " scores by trees, which are dealt by `trees` and `depth` of [model].",
    )
    bank_columns: int | None = Field(default=None, ge=1, le=100_000, description="The bank's likewise, its intercept included.")
    score_bits: int = Field(default=5, ge=0, le=20, description="For scores: as in the scoring plan.")
    reasons: int = Field(
        default=0,
        ge=0,
        le=30,
        description="For scores on request: reasons of the grid too, of at most so many texts.",
    )

    @model_validator(mode="after")
    def _can_be_dealt(self) -> PredealPlan:
        if self.serves == "training":
            self.model.check_ahead()
        elif self.model.undealt:
            raise ValueError("model.dealer = 'none': scores by a model that nobody deals for take no stock")
        if self.reasons and self.serves == "training":
            raise ValueError("reasons of the grid are dealt ahead for scores alone: reasons must be 0")
        given = {"grid_columns": self.grid_columns, "bank_columns": self.bank_columns}
        if (named := self._named) is not None:
            if extra := {key: value for key, value in given.items() if value is not None}:
                old = ", ".join(f"{key} = {value}" for key, value in extra.items())
                new = ", ".join(f"{key} = {given[old]}" for key, old in zip(named, given, strict=True) if old in extra)
                raise ValueError(
                    f"scores by trees are dealt by {' and '.join(named)} of [model]: in place of {old} write {new} there"
                )
        elif missing := [key for key, value in given.items() if value is None]:
            raise ValueError(f"{', '.join(missing)}: required, how many columns are dealt for")
        return self

    @property
    def undealt(self) -> bool:
        """Whether both parties make the stock between them."""
        return self.model.undealt

    @property
    def _named(self) -> dict[str, int] | None:
        return self.model.scored if self.serves == "scores" else None

    @property
    def sizes(self) -> tuple[int, int]:
        """The grid's and the bank's columns, or the two numbers of the section by which its scores are dealt."""
        if (named := self._named) is not None:
            first, second = named.values()
            return first, second
        assert self.grid_columns is not None and self.bank_columns is not None  # noqa: S101
        return self.grid_columns, self.bank_columns

    def _fields(self) -> dict[str, Any]:
        """Without columns where they are not what is dealt by, and reasons where none are, as before there could be any."""
        fields = super()._fields()
        if not self.reasons:
            del fields["reasons"]
        return fields if self._named is None else {k: v for k, v in fields.items() if not k.endswith("_columns")}
