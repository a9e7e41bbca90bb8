"""The section `[online]` of the bank's configuration: where its own programs ask for scores, and who may."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from bank_party.online.messages import MOST
from common.config import Address, StrictModel
from common.home.models import CHAMPION
from common.process.settings import OidcConfig


class ScoreOidc(OidcConfig):
    """The same, of callers that ask for scores."""

    scope: str = Field(default="wattscore.score", min_length=1, description="The scope that a token must have.")


class RefillConfig(StrictModel):
    """Stocks that `bank-party refill` deals: so many, of so many rows each, in hours in which nobody minds."""

    client: Path = Field(description="The configuration of the client that asks the coordinator to deal.")
    rows: int = Field(ge=1, le=10_000_000, description="Rows of each stock: those of a session, at most a day's.")
    stocks: int = Field(default=4, ge=1, le=64, description="Stocks that wait behind the one in use.")
    between: str = Field(
        default="22:00-06:00",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        description="The hours in which one is begun, HH:MM-HH:MM by this machine's clock; the end may be on the next day.",
    )

    reasons: int = Field(
        default=0,
        ge=0,
        le=30,
        description="Texts of the grid's reasons that they are dealt for: as many as the grid declares.",
    )

    def open_at(self, hour: int, minute: int) -> bool:
        """Whether one may be begun at this time of day."""
        now = f"{hour:02d}:{minute:02d}"
        start, _, end = self.between.partition("-")
        return start <= now < end if start < end else now >= start or now < end


SHADOW_ROWS = 100  # rows that a challenger is asked for at once


class ShadowConfig(StrictModel):
    """A challenger beside the champion: it scores the same rows for the bank alone, from stocks that the champion can spare."""

    model: str = Field(min_length=1, description="The training job whose model scores what callers ask for, unknown to them.")
    stock_rows: int = Field(
        default=1000, ge=SHADOW_ROWS, le=10_000_000, description="Fewest rows of a stock that its sessions take."
    )
    waiting_rows: int = Field(default=5000, ge=1, description="Most rows that wait for it; what is more is left out.")
    keep_days: float = Field(default=400.0, gt=0.0, description="Days that both models' scores of a row are kept.")

    @field_validator("model")
    @classmethod
    def _a_job(cls, model: str) -> str:
        if model == CHAMPION:
            raise ValueError("name a training job: the champion answers already")
        return model


class OnlineConfig(StrictModel):
    """Scores over HTTPS, on an address of its own, with a trust of its own. There is no plaintext."""

    listen: Address = Field(description="HOST:PORT of the bank's own network to serve HTTPS on.")
    grpc: Address | None = Field(
        default=None,
        description="HOST:PORT of that network for the same by gRPC (scoring.proto); by default none.",
    )
    certificate: Path = Field(description="This service's certificate and its chain (PEM), of the bank's own CA.")
    key: Path = Field(description="Its private key (PEM); mode 0600.")
    trust: Path | None = Field(
        default=None, description="CA certificates (PEM, one file) of callers: who has none of them is not connected."
    )
    clients: tuple[str, ...] = Field(
        default=(), description="Who may ask, by a certificate's URI, DNS name or common name: required with trust."
    )
    oidc: ScoreOidc | None = Field(default=None, description="Take tokens of this identity provider: by default none.")
    model: str = Field(default="champion", min_length=1, description="The training job whose model scores, or champion.")
    grid_dataset: str = Field(description="The grid's dataset with the newest rows.")
    bank_dataset: str = Field(description="The bank's dataset with the newest rows.")
    purpose: str = Field(default="", max_length=100, description="What for, as a grant of the grid's dataset says.")
    by_period: bool = Field(
        default=False, description="Rows are (enterprise, period); the newest month that both have is asked."
    )
    grid_reasons: int = Field(
        default=0,
        ge=0,
        le=2,
        description="Most reasons of the grid's columns told of each row, as both policies allow (reasons_per_row);"
        " of a champion that nobody holds from stocks that are dealt for it.",
    )
    decoys: int = Field(
        default=0,
        ge=0,
        le=99,
        description="Rows of the bank's dataset that are asked for beside each one, so that the grid cannot tell which was"
        " meant; each is charged as a row.",
    )
    stock_rows: int = Field(default=1, ge=1, le=10_000_000, description="Fewest rows of a stock that is taken.")
    warn_rows: int = Field(
        default=1000, ge=0, description="Rows that stocks still serve, below which the log, answers and `doctor` say so."
    )
    warn_hours: float = Field(
        default=48.0,
        ge=0.0,
        description="Hours that stocks still last, at the last day's pace and one a session, below which it is told likewise.",
    )
    renew_hours: float = Field(
        default=24.0,
        gt=0.0,
        le=168.0,
        description="Hours after which a session ends, its scores are filed, and the next goes on.",
    )
    wait_seconds: float = Field(
        default=10.0, gt=0.0, le=300.0, description="Seconds an answer may take before the caller is told to ask again."
    )
    waiting_rows: int = Field(default=5000, ge=1, description="Most rows that wait to be scored; who asks for more is put off.")
    refill: RefillConfig | None = Field(default=None, description="What `bank-party refill` deals; by default nothing.")
    shadow: ShadowConfig | None = Field(default=None, description="A challenger beside the champion; by default none.")
    keep_hours: float = Field(default=48.0, gt=0.0, description="Hours an answer is kept for who repeats its request.")

    @property
    def rows_at_once(self) -> int:
        """Most rows of one request: with their decoys they go to the grid in one message."""
        return MOST // (1 + self.decoys)

    @model_validator(mode="after")
    def _somebody_is_known(self) -> Self:
        if self.trust is None and self.oidc is None:
            raise ValueError("trust or oidc is required: nobody is served who has not said who it is")
        if self.trust is not None and not self.clients:
            raise ValueError("clients: name who may ask, as certificates of trust have it")
        if self.trust is None and self.clients:
            raise ValueError("clients: are told by certificates, and need trust")
        return self
