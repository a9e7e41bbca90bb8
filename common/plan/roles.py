"""What each client may do: its roles, by its identity, at the coordinator and in a party's policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from common.errors import IdentityError, PolicyError
from common.party import Identity

Role = Literal["submit", "score", "promote", "view"]

NEEDED: Mapping[str, Role] = {"train": "submit", "predeal": "submit", "score": "score", "promote": "promote"}
"""The role that a plan of each kind takes."""

_MEANING: Mapping[str, str] = {
    "submit": "train models and deal ahead",
    "score": "score rows",
    "promote": "change which model is the champion",
    "view": "see jobs of others",
}


def _named(roles: dict[str, Any]) -> dict[str, Any]:
    try:
        return {str(Identity.parse(who)): held for who, held in roles.items()}
    except IdentityError as error:
        raise ValueError(str(error)) from None


Roles = Annotated[dict[str, tuple[Role, ...]], AfterValidator(_named)]
"""The roles of each client, by identity. Empty: every client has all of them; else one that is not named has none."""


def has(roles: Mapping[str, Iterable[Role]], who: str, role: Role) -> bool:
    return not roles or role in roles.get(who, ())


def check(roles: Mapping[str, Iterable[Role]], who: str, role: Role, whose: str) -> None:
    """Raises PolicyError for a client that has not this role. whose: in whose configuration the roles are."""
    if not has(roles, who, role):
        raise PolicyError(
            f"{who} may not {_MEANING[role]}: it has not the role {role!r}",
            expected=role,
            got=", ".join(roles.get(who, ())) or "none",
            remedy=f"{whose} gives roles to identities, under `roles` in its configuration.",
        )
