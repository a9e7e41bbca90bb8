"""`write_report`: a training job's report as files, for its owner's eyes: the page, its tables as JSON, each table as CSV."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from common.disk.files import make_folder, write_private
from common.disk.pages import beside, linked
from common.errors import ConfigError
from common.report.page import Report
from common.report.tables import VERSION


def write_report(report: Report, out: Path) -> None:
    """Writes `out` (report.html), report.json and report-tables/*.csv beside it, mode 0600; earlier ones are replaced.

    Raises ConfigError if they cannot be written, or if `out` has no name of a page.
    """
    if out.suffix not in (".html", ".htm"):
        raise ConfigError(f"{out}: not the name of a page", remedy="Let it end in .html; the tables are written beside it.")
    text, folder = beside(out)
    told = {"version": VERSION, **report.about, "tables": [asdict(table) for table in report.tables]}
    try:
        write_private(out, linked(report.page, out).encode())
        write_private(text, json.dumps(told, indent=1, ensure_ascii=False).encode())
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        for table in report.tables:
            write_private(folder / f"{table.name}.csv", table.as_csv().encode())
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror})", remedy="Name a file in a folder of yours.") from None
