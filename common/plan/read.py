"""Plans from files, options and the network, of whatever kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from common.config import read_toml, validate
from common.errors import PlanError
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan

MOST_BYTES = 1 << 16  # of a plan as it crosses the network: it is kept with each job
_SEVERAL = "train, several banks"


def _shape(raw: Any) -> str:
    """The kind of a plan that is read or written, told apart by whether it names one bank or several."""
    if not isinstance(raw, dict):
        return _SEVERAL if isinstance(raw, SeveralPlan) else str(getattr(raw, "kind", ""))
    kind = str(raw.get("kind", "train"))
    return _SEVERAL if kind == "train" and "banks" in raw else kind


AnyPlan = Annotated[
    Annotated[TrainPlan, Tag("train")]
    | Annotated[SeveralPlan, Tag(_SEVERAL)]
    | Annotated[ScorePlan, Tag("score")]
    | Annotated[PredealPlan, Tag("predeal")]
    | Annotated[PromotePlan, Tag("promote")],
    Discriminator(_shape),
]
_ADAPTER: TypeAdapter[AnyPlan] = TypeAdapter(AnyPlan)
_KINDS: dict[str, type[TrainPlan] | type[ScorePlan] | type[PredealPlan] | type[PromotePlan]] = {
    "train": TrainPlan,
    "score": ScorePlan,
    "predeal": PredealPlan,
    "promote": PromotePlan,
}


def make_plan(raw: dict[str, Any], source: str) -> AnyPlan:
    """A plan from parsed TOML or JSON; `kind` defaults to train. Raises PlanError naming each wrong key."""
    kind = raw.get("kind", "train")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise PlanError(f"{source}: kind {kind!r} is not known", remedy=f"Use one of: {', '.join(_KINDS)}.")
    if _shape(raw) == _SEVERAL:
        return validate(SeveralPlan, raw, source, PlanError)
    return validate(_KINDS[kind], raw, source, PlanError)


def load_plan(path: Path) -> AnyPlan:
    return make_plan(read_toml(path), str(path))


def parse_plan(text: str, source: str = "plan") -> AnyPlan:
    """A plan from its canonical JSON, as it crosses the network. Raises PlanError for none, and for a long one."""
    if (size := len(text.encode())) > MOST_BYTES:
        raise PlanError(
            f"{source}: too long",
            expected=f"at most {MOST_BYTES} bytes",
            got=size,
            remedy="Name a dataset that has the columns, not each of them.",
        )
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise PlanError(f"{source}: not valid JSON") from None
        return make_plan(raw if isinstance(raw, dict) else {}, source)
