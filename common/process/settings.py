"""The configuration files of the daemons and the client: every key documented, unknown keys refused, secrets are paths."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from common.config import StrictModel, read_toml, validate
from common.decision.config import DecisionConfig
from common.disk.expand import expand
from common.errors import ConfigError, IdentityError, PolicyError
from common.logs import LogFormat
from common.monitor.config import MonitorConfig
from common.party import Identity
from common.plan.policy import Policy
from common.rows.dataset import DatasetConfig
from common.wire.tls import TlsConfig


def _identity(text: str) -> str:
    try:
        return str(Identity.parse(text))
    except IdentityError as error:
        raise ValueError(str(error)) from None


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT")
    return text


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


IdentityText = Annotated[str, AfterValidator(_identity)]
Address = Annotated[str, AfterValidator(_address)]


class Remote(StrictModel):
    """Another process: who it must prove to be, and where it listens."""

    identity: IdentityText = Field(description="wattscore://org/role, as in its certificate.")
    address: Address | None = Field(default=None, description="HOST:PORT it listens on; none for a party that dials.")

    @property
    def who(self) -> Identity:
        return Identity.parse(self.identity)


class Process(StrictModel):
    """What every daemon has."""

    tls: TlsConfig = Field(description="This process's certificate, key and trusted organisations.")
    data: Path = Field(description="Folder for what outlives a job: models, ledger, scores or the job list.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="How much is logged.")
    log_format: LogFormat = Field(
        default="text", description="json: one object a line without row data; the whole text is then in data/local.log."
    )
    metrics: Address | None = Field(default=None, description="HOST:PORT to serve Prometheus metrics on (HTTP, no login).")
    metrics_exposed: bool = Field(default=False, description="Allow `metrics` on another address than loopback.")
    reflection: bool = Field(default=False, description="Serve gRPC reflection (still over mTLS).")

    @model_validator(mode="after")
    def _metrics_stay_here(self) -> Self:
        if self.metrics is not None and not self.metrics_exposed and not _is_loopback(self.metrics):
            raise ValueError("metrics: not a loopback address; whoever reaches it reads them: state metrics_exposed = true")
        return self


class MatcherSettings(StrictModel):
    """The program that matches ids where a plan has matching = "rr22": another Python, which has `spu`."""

    python: Path | None = Field(
        default=None, description="The python of an environment of its own in which spu is installed. None: no such plans."
    )
    timeout: float = Field(default=300.0, ge=1, le=86_400, description="Seconds without a byte after which matching fails.")


class PartySettings(Process):
    """`grid-party serve` and `bank-party serve`."""

    listen: Address | None = Field(
        default=None,
        description="HOST:PORT to serve on. The grid: required, the bank dials it. The bank: only for health checks.",
    )
    coordinator: Remote = Field(description="The coordinator this party attends.")
    peer: Remote = Field(description="The other party; its address at the bank, which dials.")
    datasets: dict[str, DatasetConfig] = Field(default_factory=dict, description="What plans may ask for, by name.")
    policy: Policy = Field(default=Policy(), description="What this party allows.")
    memory_mib: int = Field(
        default=1024, ge=0, description="What a job may hold in memory of its columns; larger ones go to files in data/scratch."
    )
    decision: DecisionConfig = Field(
        default=DecisionConfig(), description="At the bank: how a score becomes points, a grade and a decision."
    )
    monitor: MonitorConfig = Field(default=MonitorConfig(), description="From where on a change of the data is an alarm.")
    matcher: MatcherSettings = Field(default=MatcherSettings(), description="For faster matching, if plans ask for it.")


class CoordinatorSettings(Process):
    """`wattscore-coordinator serve`."""

    listen: Address = Field(description="HOST:PORT to serve on.")
    grid: IdentityText = Field(description="The grid party's identity.")
    bank: IdentityText = Field(description="The bank party's identity.")
    clients: tuple[IdentityText, ...] = Field(min_length=1, description="Who may submit, watch and cancel jobs.")
    deal_ahead: int = Field(default=8, ge=2, le=1024, description="Arrays dealt before the first is consumed, for each party.")
    deal_ahead_mib: int = Field(default=256, ge=1, description="The same bound in MiB.")
    memory_mib: int = Field(
        default=1024, ge=0, description="What dealing may hold in memory of the matrices' masks; larger ones are expanded anew."
    )
    stall_timeout: float = Field(
        default=600.0, gt=0, description="Seconds of a running job in which no party reports anything."
    )
    attend_timeout: float = Field(default=30.0, gt=0, description="Seconds a job waits for both parties to be connected.")


class ClientSettings(StrictModel):
    """`wattscore` as a client."""

    tls: TlsConfig = Field(description="The client's certificate, key and trusted organisations.")
    coordinator: Remote = Field(description="The coordinator and its address.")


S = TypeVar("S", bound=StrictModel)
PATHS = frozenset({"certificate", "key", "trust", "data", "path", "python"})  # keys whose values are paths


def load_settings(model: type[S], path: Path) -> S:
    """The configuration at `path`; paths in it are relative to its folder. Raises ConfigError."""
    return validate(model, _rooted(expand(read_toml(path), PATHS, str(path)), path.resolve().parent), str(path))


def _rooted(raw: Any, folder: Path) -> Any:
    """`raw` with its relative paths made absolute, so that a daemon may be started from anywhere."""
    if not isinstance(raw, dict):
        return raw
    return {
        key: str(folder / value) if key in PATHS and isinstance(value, str) else _rooted(value, folder)
        for key, value in raw.items()
    }


def check_separate(own: Identity, settings: PartySettings) -> None:
    """Raises PolicyError when the coordinator, which deals, belongs to a party."""
    for who, identity in (("this party", own), ("the other party", settings.peer.who)):
        if settings.coordinator.who.org == identity.org:
            raise PolicyError(
                f"the coordinator {settings.coordinator.identity} belongs to {who}",
                remedy="Use a coordinator of a third organisation: dealer and one party together can read the other's data.",
            )


def check_party(own: Identity, settings: PartySettings, *, listens: bool) -> None:
    """Raises ConfigError for what one party's file lacks or mixes up, PolicyError for a dealer that is not separate."""
    check_separate(own, settings)
    if listens and settings.listen is None:
        raise ConfigError("missing key 'listen'", remedy="The grid listens; the bank dials it.")
    if listens and "decision" in settings.model_fields_set:
        raise ConfigError("the grid has a section [decision]", remedy="Remove it: only the bank decides.")
    if not listens and settings.peer.address is None:
        raise ConfigError("missing key 'peer.address'", remedy="The bank dials the grid; say where.")
    if settings.coordinator.address is None:
        raise ConfigError("missing key 'coordinator.address'", remedy="Say where the coordinator listens.")
