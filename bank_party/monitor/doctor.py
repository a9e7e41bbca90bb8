"""What a bank's doctor says of `[overrides]`: whether its files can be read as `monitor` will read them."""

from __future__ import annotations

from collections.abc import Iterator

from bank_party.monitor.overrides import OverridesConfig, read_finals
from common.doctor.finding import Finding, failed, passed
from common.errors import WattScoreError


def check_overrides(config: OverridesConfig | None) -> Iterator[Finding]:
    """Nothing where no final decisions are told."""
    if config is None:
        return
    try:
        yield passed("final decisions", f"{len(read_finals(config)):,} rows decided")
    except WattScoreError as error:
        yield failed("final decisions", error)
