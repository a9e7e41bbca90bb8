"""Configuration files: what all daemons have, the coordinator's, the client's. Unknown keys are refused, secrets are paths."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from common.config import Address, StrictModel, read_toml, validate
from common.disk.expand import expand
from common.errors import ConfigError, IdentityError
from common.party import Bank, Identity, Member, Party
from common.plan.request import DEALT_ROWS
from common.plan.roles import Roles
from common.text.logs import LogFormat
from common.wire.tls import TlsConfig


def _identity(text: str) -> str:
    try:
        return str(Identity.parse(text))
    except IdentityError as error:
        raise ValueError(str(error)) from None


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT is of this machine alone."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secure(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("must be an https:// address: keys that arrive in plaintext can be anybody's")
    return url


IdentityText = Annotated[str, AfterValidator(_identity)]


class Named(StrictModel):
    """Another process: who it must prove to be."""

    identity: IdentityText = Field(description="wattscore://org/role, as in its certificate.")

    @property
    def who(self) -> Identity:
        return Identity.parse(self.identity)


class Remote(Named):
    """One that this process dials, and where it listens."""

    address: Address = Field(description="HOST:PORT it listens on.")


class OidcConfig(StrictModel):
    """An identity provider whose tokens are taken: signed, for this service, with the scope that allows to ask."""

    issuer: str = Field(min_length=1, description="The provider, as its tokens name it (iss).")
    audience: str = Field(min_length=1, description="The name of this service at the provider (aud).")
    jwks: Annotated[str, AfterValidator(_secure)] = Field(description="Where its keys are (https://, a JWK set).")
    scope: str = Field(min_length=1, description="The scope that a token must have.")
    claim: Literal["scope", "roles"] = Field(
        default="scope",
        description="Where a token has it: scope (or scp), or roles, as tokens of programs by Entra ID have it.",
    )
    trust: Path | None = Field(default=None, description="CA certificates (PEM) of that address; default: the system's.")


class ConsoleOidc(OidcConfig):
    """The same, of people whose proxy logs them in and sends their token on."""

    scope: str = Field(default="wattscore.console", min_length=1, description="The scope that a token must have.")


class ConsoleConfig(StrictModel):
    """The section `[console]`: a daemon's pages for its own people, over HTTPS. There is no plaintext."""

    listen: Address = Field(description="HOST:PORT to serve pages on: loopback, unless certificates or tokens say who comes.")
    host: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.\-]+(:\d+)?$",
        description="The name (and port, if not 443) by which browsers open them; required beyond loopback.",
    )
    certificate: Path | None = Field(
        default=None, description="The certificate and its chain (PEM), of the organisation's own CA; default: the daemon's."
    )
    key: Path | None = Field(default=None, description="Its private key (PEM); mode 0600.")
    trust: Path | None = Field(
        default=None, description="CA certificates (PEM, one file) of people: who has none of them is not connected."
    )
    people: tuple[str, ...] = Field(
        default=(), description="Who may look, by a certificate's URI, DNS name or common name: required with trust."
    )
    oidc: ConsoleOidc | None = Field(default=None, description="Take tokens of this identity provider: by default none.")

    @property
    def by_link(self) -> bool:
        """Whether people log in by a link that a command on this machine prints."""
        return self.trust is None and self.oidc is None

    @model_validator(mode="after")
    def _somebody_is_known(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key: give both, or neither")
        if self.trust is not None and not self.people:
            raise ValueError("people: name who may look, as certificates of trust have it")
        if self.trust is None and self.people:
            raise ValueError("people: are told by certificates, and need trust")
        if not is_loopback(self.listen):
            if self.by_link:
                raise ValueError("trust or oidc is required beyond loopback: links log in on this machine alone")
            if self.host is None:
                raise ValueError("host is required beyond loopback: requests by another name are refused")
        return self


class TracingConfig(StrictModel):
    """The section `[tracing]`: a collector of spans, by OTLP over HTTP."""

    endpoint: str = Field(description="Where it takes them: https://HOST:PORT/v1/traces; http:// on this machine alone.")
    trust: Path | None = Field(default=None, description="CA certificates (PEM) of that address; default: the public ones.")
    token: Path | None = Field(default=None, description="A file with the bearer token that it asks for; mode 0600.")
    ratio: float = Field(default=1.0, gt=0.0, le=1.0, description="Share of all traces that is kept, the same at all three.")

    @model_validator(mode="after")
    def _is_not_read_on_the_way(self) -> Self:
        url = urlsplit(self.endpoint)
        if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and is_loopback(f"{url.hostname}:80"))):
            raise ValueError("endpoint: must be an https:// address, or http:// of this machine")
        if "@" in url.netloc:
            raise ValueError("endpoint: holds a user's name or password; a collector's token is in a file of `token`")
        return self


class Process(StrictModel):
    """The settings of every daemon."""

    tls: TlsConfig = Field(description="This process's certificate, key and trusted organisations.")
    data: Path = Field(description="Folder for what outlives a job: models, ledger, scores or the job list.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="How much is logged.")
    log_format: LogFormat = Field(
        default="text",
        description="text, or json: one object a line. Neither holds rows' data; warnings in full are in data/local.log.",
    )
    metrics: Address | None = Field(default=None, description="HOST:PORT to serve Prometheus metrics on (HTTP, no login).")
    metrics_exposed: bool = Field(default=False, description="Allow `metrics` on another address than loopback.")
    tracing: TracingConfig | None = Field(default=None, description="A collector of spans of jobs; by default none.")
    reflection: bool = Field(default=False, description="Serve gRPC reflection (still over mTLS).")

    @model_validator(mode="after")
    def _metrics_stay_here(self) -> Self:
        if self.metrics is not None and not self.metrics_exposed and not is_loopback(self.metrics):
            raise ValueError("metrics: not a loopback address; whoever reaches it reads them: state metrics_exposed = true")
        return self


class CoordinatorSettings(Process):
    """`wattscore-coordinator serve`."""

    whose: ClassVar[str] = "a coordinator"

    listen: Address = Field(description="HOST:PORT to serve on.")
    grid: IdentityText = Field(description="The grid party's identity.")
    bank: IdentityText = Field(description="The bank party's identity.")
    more_banks: tuple[IdentityText, ...] = Field(default=(), description="Further banks, each of another organisation.")
    clients: tuple[IdentityText, ...] = Field(min_length=1, description="Who may submit, watch and cancel jobs.")
    roles: Roles = Field(
        default={}, description="What each client may do: submit, score, promote, view (others' jobs). None listed: all do all."
    )
    console: ConsoleConfig | None = Field(default=None, description="Pages for the coordinator's people; off by default.")
    lanes: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Most connections over which a party is dealt to, and brings its tags, if its policy wishes for them.",
    )
    deal_ahead: int = Field(default=64, ge=2, le=1024, description="Arrays dealt before the first is consumed, for each party.")
    deal_ahead_mib: int = Field(default=64, ge=1, description="The same bound in MiB.")
    memory_mib: int = Field(
        default=1024, ge=0, description="What dealing may hold in memory of the matrices' masks; larger ones are expanded anew."
    )
    workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that deal for linear models, fewer where these hold over 512 MiB; more than cores do not help.",
    )
    max_ids: int = Field(default=20_000_000, ge=1, description="Most ids either party may bring to be matched here.")
    max_rows: int = Field(default=DEALT_ROWS, ge=1, description="Most rows of a job for which randomness is dealt.")
    queued_jobs: int = Field(default=100, ge=1, description="Most jobs of one client that may wait at a time.")
    keep_jobs: int = Field(
        default=10_000, ge=1, description="Jobs that are over and kept; earlier ones leave the journal, also beyond 1 GiB."
    )
    stall_timeout: float = Field(
        default=600.0, gt=0, description="Seconds of a running job in which no party reports anything."
    )
    attend_timeout: float = Field(default=30.0, gt=0, description="Seconds a new job waits for its parties to be connected.")
    resume_days: float = Field(
        default=3.0,
        ge=0.0,
        le=30.0,
        description="Days that an interrupted job waits to go on; 0: what loses a party or a line fails at once.",
    )
    interruptions: int = Field(default=50, ge=1, le=10_000, description="Interruptions of a job after which it fails.")

    @property
    def members(self) -> dict[Identity, Member]:
        """The parties, by identity: the grid, then the banks. One bank is the bank; of several each has a name."""
        banks = [Identity.parse(bank) for bank in (self.bank, *self.more_banks)]
        named: dict[Identity, Member] = {bank: Bank(bank) for bank in banks}
        found: dict[Identity, Member] = {Identity.parse(self.grid): Party.GRID}
        return found | (named if self.more_banks else {banks[0]: Party.BANK})

    @model_validator(mode="after")
    def _roles_are_of_clients(self) -> Self:
        if unknown := sorted(set(self.roles) - set(self.clients)):
            raise ValueError(f"roles: not among clients: {', '.join(unknown)}")
        if self.roles and (without := sorted(set(self.clients) - set(self.roles))):
            raise ValueError(f"roles: give these clients theirs, [] for none: {', '.join(without)}")
        return self

    @model_validator(mode="after")
    def _parties_differ(self) -> Self:
        orgs = [who.org for who in self.members]
        if self.more_banks and len(set(orgs)) < 2 + len(self.more_banks):
            raise ValueError("more_banks: each party must be of an organisation of its own")
        return self


class ClientSettings(StrictModel):
    """`wattscore` as a client."""

    whose: ClassVar[str] = "a client"

    tls: TlsConfig = Field(description="The client's certificate, key and trusted organisations.")
    coordinator: Remote = Field(description="The coordinator and its address.")
    tracing: TracingConfig | None = Field(default=None, description="Spans of what is submitted and followed: by default none.")


S = TypeVar("S", bound=StrictModel)
# keys whose values are paths, or lists of them
PATHS = frozenset({"certificate", "key", "trust", "data", "path", "others", "features", "client", "token"})


def load_settings(model: type[S], path: Path) -> S:
    """The configuration at `path`; paths in it are relative to its folder. Raises ConfigError."""
    raw = _read(path)
    try:
        return validate(model, raw, str(path))
    except ConfigError:
        meant, found = getattr(model, "whose", ""), _whose(raw)
        if not meant or found in ("", meant):
            raise
    raise ConfigError(f"{path}: the configuration of {found}, not of {meant}", remedy=f"Give that of {meant} by --config.")


def _whose(raw: Mapping[str, Any]) -> str:
    """Of which process this is a configuration, by what only that has."""
    if "peer" in raw:
        return "a party"
    if "clients" in raw:
        return "a coordinator"
    return "a client" if set(raw) - {"tracing"} == {"tls", "coordinator"} else ""


def load_part(model: type[S], path: Path, *names: str) -> S:
    """One table of a configuration, found by its names from the top; the rest is not looked at. Raises ConfigError."""
    part: Any = _read(path)
    for name in names:
        part = part.get(name) if isinstance(part, dict) else None
    where = ".".join(names)
    if not isinstance(part, dict):
        raise ConfigError(f"{path}: there is no table [{where}]", remedy="Give the configuration of the party that has it.")
    return validate(model, part, f"{path}: {where}")


def _read(path: Path) -> Any:
    return _rooted(expand(read_toml(path), PATHS, str(path)), path.resolve().parent)


def _rooted(raw: Any, folder: Path) -> Any:
    """`raw` with its relative paths made absolute, so that a daemon may be started from anywhere."""
    if not isinstance(raw, dict):
        return raw
    return {key: _rooted_path(value, folder) if key in PATHS else _rooted(value, folder) for key, value in raw.items()}


def _rooted_path(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_rooted_path(one, folder) for one in value]
    return str(folder / value) if isinstance(value, str) else _rooted(value, folder)
