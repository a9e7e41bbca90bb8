"""The section `[model]` of a plan, of whichever learner; without `kind` it is the linear model's."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from common.plan.linear import Model
from common.plan.network import Network
from common.plan.trees import Trees


def _kind(raw: Any) -> str:
    found = raw.get("kind", "linear") if isinstance(raw, dict) else getattr(raw, "kind", "linear")
    return found if isinstance(found, str) else ""


DEFAULT = Model()
AnySection = Annotated[
    Annotated[Model, Tag("linear")] | Annotated[Trees, Tag("trees")] | Annotated[Network, Tag("network")], Discriminator(_kind)
]
