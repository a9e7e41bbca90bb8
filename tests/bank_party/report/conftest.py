"""The job of one page's tests, for those of its findings too."""

from __future__ import annotations

from tests.common.report.conftest import job

__all__ = ["job"]
