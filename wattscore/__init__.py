"""The Python face of WattScore: a client, the plans it submits, what it hears of jobs, and the errors it raises.

    import wattscore as ws

    with ws.Client("client.toml") as client:
        job = client.train("plan.toml")
        print(job.evaluation.joint.auc)

These names stay; those of the packages `common`, `grid_party` and `bank_party` may change. Each is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common import __version__
    from common.client.api import AsyncClient, Client
    from common.client.results import Comparison, Evaluation, Job, Jobs, Quality
    from common.errors import (
        ConfigError,
        DataError,
        IdentityError,
        JobCancelled,
        JobNotFound,
        JobStateError,
        PeerFailed,
        PeerLost,
        PeerStopped,
        PlanError,
        PolicyError,
        ProtocolError,
        RangeError,
        WattScoreError,
    )
    from common.plan.job_states import State
    from common.plan.predeal import PredealPlan
    from common.plan.promote import PromotePlan
    from common.plan.read import load_plan, make_plan, parse_plan
    from common.plan.score import ScorePlan
    from common.plan.train import TrainPlan
    from common.report.frames import ReportTables, read_report
    from common.trial.frames import Tried, try_

__all__ = [
    "AsyncClient",
    "Client",
    "Comparison",
    "ConfigError",
    "DataError",
    "Evaluation",
    "IdentityError",
    "Job",
    "JobCancelled",
    "JobNotFound",
    "JobStateError",
    "Jobs",
    "PeerFailed",
    "PeerLost",
    "PeerStopped",
    "PlanError",
    "PolicyError",
    "PredealPlan",
    "PromotePlan",
    "ProtocolError",
    "Quality",
    "RangeError",
    "ReportTables",
    "ScorePlan",
    "State",
    "TrainPlan",
    "Tried",
    "WattScoreError",
    "__version__",
    "load_plan",
    "make_plan",
    "parse_plan",
    "read_report",
    "try_",
]

_CLIENT = ("AsyncClient", "Client")
_RESULTS = ("Comparison", "Evaluation", "Job", "Jobs", "Quality")
_REPORT = ("ReportTables", "read_report")
_TRIAL = ("Tried", "try_")
_READ = ("load_plan", "make_plan", "parse_plan")
_ELSEWHERE = {
    "__version__": "common",
    "State": "common.plan.job_states",
    **dict.fromkeys(_CLIENT, "common.client.api"),
    **dict.fromkeys(_RESULTS, "common.client.results"),
    **dict.fromkeys(_REPORT, "common.report.frames"),
    **dict.fromkeys(_TRIAL, "common.trial.frames"),
    **dict.fromkeys(_READ, "common.plan.read"),
    "PredealPlan": "common.plan.predeal",
    "PromotePlan": "common.plan.promote",
    "ScorePlan": "common.plan.score",
    "TrainPlan": "common.plan.train",
}


def __getattr__(name: str) -> Any:
    """The name, from the module that has it; errors are all in one."""
    if name not in __all__:
        raise AttributeError(f"module 'wattscore' has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "common.errors")), name)


def __dir__() -> list[str]:
    return __all__
