"""The Python face of WattScore: a client, the plans it submits, what it hears of jobs, and the errors it raises.

    from pathlib import Path
    from wattscore import Client, load_plan

    with Client.from_config(Path("client.toml")) as client:
        *_, job = client.watch(client.submit(load_plan(Path("plan.toml"))).id)
        print(job.state, job.bank.report.evaluation.joint.auc)

These names stay; those of the packages `common`, `grid_party` and `bank_party` may change. Each is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common import __version__
    from common.client.client import Client, as_dict, failure
    from common.errors import (
        ConfigError,
        DataError,
        IdentityError,
        JobCancelled,
        JobNotFound,
        JobStateError,
        PeerFailed,
        PeerLost,
        PlanError,
        PolicyError,
        ProtocolError,
        RangeError,
        WattScoreError,
    )
    from common.plan.predeal import PredealPlan
    from common.plan.promote import PromotePlan
    from common.plan.read import load_plan, make_plan, parse_plan
    from common.plan.score import ScorePlan
    from common.plan.state import State
    from common.plan.train import TrainPlan
    from common.wire.coordinator_pb2 import Job

__all__ = [
    "Client",
    "ConfigError",
    "DataError",
    "IdentityError",
    "Job",
    "JobCancelled",
    "JobNotFound",
    "JobStateError",
    "PeerFailed",
    "PeerLost",
    "PlanError",
    "PolicyError",
    "PredealPlan",
    "PromotePlan",
    "ProtocolError",
    "RangeError",
    "ScorePlan",
    "State",
    "TrainPlan",
    "WattScoreError",
    "__version__",
    "as_dict",
    "failure",
    "load_plan",
    "make_plan",
    "parse_plan",
]

_CLIENT = ("Client", "as_dict", "failure")
_READ = ("load_plan", "make_plan", "parse_plan")
_ELSEWHERE = {
    "__version__": "common",
    "Job": "common.wire.coordinator_pb2",
    "State": "common.plan.state",
    **dict.fromkeys(_CLIENT, "common.client.client"),
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
