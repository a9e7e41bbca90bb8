"""Roles of clients: who is refused, by name, and what a configuration may say."""

from __future__ import annotations

import pytest
from pydantic import Field

from common.config import StrictModel, validate
from common.errors import ConfigError, PolicyError
from common.plan.job_stages import ORDER
from common.plan.roles import NEEDED, Roles, check, has

ANALYST, AUDITOR = "wattscore://acme/analyst", "wattscore://acme/auditor"


class Config(StrictModel):
    roles: Roles = Field(default={})


def test_without_roles_every_client_has_all_and_with_them_whoever_is_not_named_has_none() -> None:
    assert has({}, ANALYST, "promote")
    roles = Config.model_validate({"roles": {AUDITOR: ["view"]}}).roles
    assert has(roles, AUDITOR, "view") and not has(roles, AUDITOR, "submit") and not has(roles, ANALYST, "view")
    text = f"{AUDITOR} may not score rows: it has not the role 'score' \\(expected score, got view\\).*The grid gives roles"
    with pytest.raises(PolicyError, match=text):
        check(roles, AUDITOR, "score", "The grid")


def test_every_kind_of_plan_takes_a_role() -> None:
    assert set(NEEDED) == set(ORDER)


@pytest.mark.parametrize(
    ("roles", "says"),
    [({"analyst": ["view"]}, "'analyst' is not an identity"), ({ANALYST: ["admin"]}, "'submit', 'score', 'promote' or 'view'")],
)
def test_what_is_no_identity_or_no_role_is_refused(roles: dict[str, list[str]], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        validate(Config, {"roles": roles}, "c.toml")
