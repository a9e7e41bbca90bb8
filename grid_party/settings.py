"""The grid's configuration: it listens, and it has no label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from common.daemon.settings import PartySettings
from common.process.settings import Address, Named


class GridSettings(PartySettings):
    """`grid.toml`."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "decision": "only the bank decides",
        "address": "the bank dials, and has no address here",
    }

    listen: Address = Field(description="HOST:PORT to serve on: the bank dials it.")
    peer: Named = Field(description="The bank; it dials, so it has no address.")

    @model_validator(mode="after")
    def _has_no_label(self) -> Self:
        labelled = [name for name, dataset in self.datasets.items() if dataset.label is not None]
        if labelled:
            raise ValueError(f"datasets.{labelled[0]}.label: the grid has no label; only the bank's datasets have one")
        return self
