"""Everything a report is made of, read from one party's own folder; nothing is asked of the other party."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.disk.data_folder import Name
from common.errors import DataError
from common.home.models import ModelStore
from common.home.record import Record, load_record
from common.learn.learner import Half
from common.party import Party
from common.plan.read import parse_plan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan

SELECTION = "features.json"  # bins and information values, where the plan codes columns in bins


@dataclass(frozen=True, repr=False)
class Evidence:
    """One training job at one party. selection: see `features.selection`, if the job left one; digests: SHA-256 by file."""

    model: Half
    plan: TrainPlan
    record: Record
    selection: dict[str, Any] | None
    digests: dict[str, str]

    @property
    def party(self) -> Party:
        return self.model.party


def gather(data: Path, job: str, *files: str) -> Evidence:
    """The evidence in a party's data folder; files: those beside the model that are fingerprinted too.

    Raises JobNotFound if `job` trained nothing here, DataError for damaged files.
    """
    store = ModelStore(data / Name.MODELS)
    model = store.load(job)
    folder = store.folder(job)
    plan = parse_plan(model.about["plan"], f"job {job}")
    if isinstance(plan, SeveralPlan):
        plan = plan.line(model.about["line"])
    assert isinstance(plan, TrainPlan)  # noqa: S101
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.json", *files)}
    return Evidence(model, plan, load_record(job, folder), _selection(job, folder / SELECTION), digests)


def _selection(job: str, file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_bytes())
        if all({"name", "iv", "kept", "reason", "bins"} <= column.keys() for column in found["columns"]):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    message = f"the stored {SELECTION} of job {job} is damaged or of another format"
    raise DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
