"""What stands in a party's folders at one moment, as its index shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.disk.pages import Page
from common.home.jobbook import Offered
from common.home.rates import Usage
from common.home.registry import Version
from common.home.standing import Standing
from common.home.stocks import Held
from common.monitor.drift import Alarm
from common.party import Party


@dataclass(frozen=True)
class Dataset:
    """A declared dataset, by its header. trouble: why it cannot be read, or that it has no row yet; then the rest is 0."""

    name: str
    file: str
    rows: int = 0
    columns: int = 0
    keys: tuple[str, ...] = ()
    label: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Model:
    """A registered model. auc: on held-out rows, where this party knows it; kept: its files are still here."""

    version: Version
    name: str
    auc: float | None
    kept: bool


@dataclass(frozen=True)
class ScoresFile:
    job: str
    model: str
    name: str
    bytes: int
    at: float


@dataclass(frozen=True)
class Contents:
    """All that stands in a party's folders at one moment. waiting: jobs that are not over; entries: of the audit log.

    alarms: None where the history could not be read, and `unread` says why. rates: of the policy, by key.
    """

    party: Party
    at: float
    data: str
    datasets: Sequence[Dataset] = ()
    models: Sequence[Model] = ()
    jobs: Sequence[Offered] = ()
    waiting: Sequence[str] = ()
    scores: Sequence[ScoresFile] = ()
    stocks: Sequence[Held] = ()
    standings: Sequence[Standing] = ()
    clients: Sequence[Usage] = ()
    rates: Mapping[str, int] = field(default_factory=dict)
    alarms: Sequence[Alarm] | None = ()
    unread: str = ""
    pages: Sequence[Page] = ()
    entries: int = 0
