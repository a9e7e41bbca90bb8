"""The grid's configuration: it listens, it has no label, and it limits what its columns are used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from common.config import Address
from common.daemon.settings import PartySettings
from common.party import Identity
from common.plan.policy import Policy
from common.process.settings import IdentityText, Named


class GridPolicy(Policy):
    """What the grid allows."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("label_bits", "metric_bits", "min_per_class", "min_test_per_class"),
        "it limits the use of labels, which are the bank's",
    )

    min_columns: int = Field(
        default=5,
        ge=1,
        description="Fewest columns of the grid in a model, of however many bins or levels: a score is an equation in them.",
    )
    scores_per_row: int = Field(
        default=8, ge=1, description="Models that may score one row; at most half as many as a model has columns of the grid."
    )
    reason_threshold: float = Field(
        default=0.2,
        ge=0.0,
        le=10.0,
        description="Log-odds by which columns of one text must speak against a row to be told as a reason.",
    )


class GridSettings(PartySettings):
    """`grid.toml`."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "decision": "only the bank decides",
        "address": "the bank dials, and has no address here",
        **dict.fromkeys(("auc_fall", "calibration", "min_labels", "labels"), "only the bank has labels to measure a month by"),
    }

    listen: Address = Field(description="HOST:PORT to serve on: the bank dials it.")
    worker_listen: tuple[Address, ...] = Field(
        default=(), description="HOST:PORT of each worker, on which the bank dials it at the address where it dials this party."
    )
    peer: Named = Field(description="The bank; it dials, so it has no address.")
    more_banks: tuple[IdentityText, ...] = Field(
        default=(), description="Further banks, by identity, with which models of several banks may be trained."
    )
    policy: GridPolicy = Field(default=GridPolicy(), description="What the grid allows.")

    @property
    def others(self) -> tuple[Identity, ...]:
        return (self.peer.who, *map(Identity.parse, self.more_banks))

    @property
    def worker_addresses(self) -> tuple[str, ...]:
        return self.worker_listen

    @property
    def worker_ports(self) -> tuple[int, ...]:
        """On which the bank dials the workers."""
        return tuple(int(address.rpartition(":")[2]) for address in self.worker_listen)

    @model_validator(mode="after")
    def _workers_listen(self) -> Self:
        if len(self.worker_listen) != self.workers:
            raise ValueError(f"worker_listen: needs an address for each of the {self.workers} workers")
        return self

    @model_validator(mode="after")
    def _banks_differ(self) -> Self:
        orgs = [bank.org for bank in self.others]
        if len(set(orgs)) < len(orgs):
            raise ValueError("more_banks: each bank must be of an organisation of its own")
        return self

    @model_validator(mode="after")
    def _has_no_label(self) -> Self:
        labelled = [name for name, dataset in self.datasets.items() if dataset.label is not None]
        if labelled:
            raise ValueError(f"datasets.{labelled[0]}.label: the grid has no label; only the bank's datasets have one")
        return self
