"""An organisation that replaces its CA: the old one is trusted beside the new one, until a day that its file's name tells.

`ORG.pem` is the one that stays, `ORG.until-2026-12-31.pem` the one that ends with that day (UTC).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from common.disk.files import sync_folder
from common.errors import ConfigError, IdentityError

_OLD = re.compile(r"(?P<org>[a-z0-9-]+)\.until-(?P<day>\d{4}-\d{2}-\d{2})\.pem")


def is_old(file: Path) -> bool:
    """Whether `file` is named as a CA that ends on a day."""
    return ".until-" in file.name


def end_of(file: Path) -> datetime:
    """The moment from which this old CA is trusted no more. Raises ConfigError for a name that tells no day."""
    found = _OLD.fullmatch(file.name)
    try:
        day = date.fromisoformat(found["day"] if found else "")
    except ValueError:
        raise ConfigError(f"{file}: its name tells no day", remedy="Name it ORG.until-YYYY-MM-DD.pem, or remove it.") from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def old_files(trust: Path, org: str) -> list[Path]:
    """The files of old CAs of `org`, the one that ends last first."""
    return sorted(trust.glob(f"{org}.until-*.pem"), reverse=True)


def retire(trust: Path, org: str, until: date, now: datetime) -> None:
    """The CA of `org` in `trust` becomes the old one, until the end of that day (UTC).

    Raises IdentityError for a day that is over, and where an old one is still trusted: two at a time, no more.
    """
    if until < now.astimezone(UTC).date():
        raise IdentityError(f"{until} is over: the old CA of {org} would not be trusted at all", remedy="Name a later day.")
    for file in old_files(trust, org):
        if end_of(file) > now:
            raise IdentityError(
                f"{file} is trusted beside {org}.pem already", remedy=f"Remove it once {org} has no certificate by it."
            )
        file.unlink()
    (trust / f"{org}.pem").replace(trust / f"{org}.until-{until.isoformat()}.pem")
    sync_folder(trust)
