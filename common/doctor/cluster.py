"""Whether features may be made on a company's own Ray cluster: what `features --ray` itself begins with."""

from __future__ import annotations

from pathlib import Path

from common.doctor.finding import Finding, failed, passed
from common.errors import WattScoreError
from common.scale.cluster import joined
from common.scale.settings import load_cluster


def check_cluster(config: Path) -> Finding:
    """One line of the cluster that `config` (TOML) names, which it joins for some seconds."""
    try:
        with joined(load_cluster(config)) as found:
            nodes = ", ".join(f"{address} ({processors})" for address, processors in found.nodes.items())
    except WattScoreError as error:
        return failed("ray", error)
    return passed("ray", f"token, mutual TLS, closed folders, no other driver; nodes (processors): {nodes}")
