"""`write_report`: a training job's report as one file, for its owner's eyes."""

from __future__ import annotations

from pathlib import Path

from common.disk.files import write_private
from common.errors import ConfigError


def write_report(page: str, out: Path) -> None:
    """`page` into `out`, mode 0600, whole or not at all; an earlier file is replaced. Raises ConfigError if it cannot be."""
    try:
        write_private(out, page.encode())
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror})", remedy="Name a file in a folder of yours.") from None
