"""An organisation that replaces its CA: the old one is trusted beside the new one, until a day that its file's name tells.

`ORG.pem` is the one that stays, `ORG.until-2026-12-31.pem` the one that ends with that day (UTC).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def pem_files(trust: Path) -> list[Path]:
    """The files of CAs, old ones among them. Raises ConfigError for a folder that is missing or cannot be read."""
    try:
        return [file for file in trust.iterdir() if file.suffix == ".pem"]
    except (NotADirectoryError, FileNotFoundError):
        raise ConfigError(f"{trust}: not a folder", remedy="Fill it with `wattscore certs trust`.") from None
    except OSError as error:
        raise ConfigError(f"{trust}: cannot be read ({error.strerror})", remedy="Check its permissions.") from None


def old_of(files: Iterable[Path], org: str) -> list[Path]:
    """Those of old CAs of `org`, the one that ends last first."""
    return sorted((file for file in files if file.name.startswith(f"{org}.until-")), reverse=True)


def retire(trust: Path, org: str, until: date, now: datetime) -> None:
    """The CA of `org` in `trust` becomes the old one, until the end of that day (UTC).

    Raises IdentityError for a day that is over, and where an old one is still trusted: two at a time, no more.
    """
    if until < now.astimezone(UTC).date():
        raise IdentityError(f"{until} is over: the old CA of {org} would not be trusted at all", remedy="Name a later day.")
    for file in old_of(pem_files(trust), org):
        if end_of(file) > now:
            raise IdentityError(
                f"{file} is trusted beside {org}.pem already", remedy=f"Remove it once {org} has no certificate by it."
            )
        file.unlink()
    (trust / f"{org}.pem").replace(trust / f"{org}.until-{until.isoformat()}.pem")
    sync_folder(trust)
