"""What the pipeline asks of a learner and of what it leaves. A learner has a folder of its own here, and a section in plans."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

from common.features.fit import FittedPreparation
from common.party import Party
from common.rows.dataset import ColumnConfig


class Half(Protocol):
    """One party's half of a trained model, of whatever learner: what it needs, with the other's half, to score."""

    @property
    def job(self) -> str: ...

    @property
    def party(self) -> Party: ...

    @property
    def fitted(self) -> FittedPreparation:
        """This party's own preparation, which nobody else holds."""

    @property
    def source(self) -> dict[str, ColumnConfig]:
        """The dataset's columns as declared or inferred: later files are read the same way."""

    @property
    def about(self) -> dict[str, Any]:
        """Plan, dataset fingerprint, software, warnings: what a reviewer asks for."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the prepared columns, the bank's intercept last."""

    @property
    def closed(self) -> bool:
        """Whether nobody holds the model: no parameter was opened, and rows are scored on shares."""


@dataclass(frozen=True, repr=False)
class Packed:
    """The bytes of a model's two files."""

    text: bytes
    arrays: bytes

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal: of the text, which holds that of the arrays."""
        return hashlib.sha256(self.text).hexdigest()
