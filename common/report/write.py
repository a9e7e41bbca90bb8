"""`write_report`: a training job's report as one file, for its owner's eyes."""

from __future__ import annotations

from pathlib import Path

from common.disk.files import write_private
from common.errors import ConfigError
from common.report.evidence import gather
from common.report.page import render
from common.report.texts import Choice


def write_report(data: Path, job: str, out: Path, lang: Choice = "both") -> None:
    """From a party's data folder into `out`, mode 0600, whole or not at all; an earlier file is replaced.

    Raises JobNotFound and DataError as `gather` does, ConfigError if `out` cannot be written.
    """
    page = render(gather(data, job), lang).encode()
    try:
        write_private(out, page)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror})", remedy="Name a file in a folder of yours.") from None
