"""What the page has typed to make a cluster's CA, certificate and token is what the checks take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from common.scale.reach import check_tls
from tests.common.scale.sites import served, site
from tests.pages import blocks
from tests.source import ROOT


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_files_that_the_page_makes_are_taken(tmp_path: Path) -> None:
    (script,) = [
        code for _, code in blocks((ROOT / "deploy" / "RAY.md").read_text(encoding="utf-8"), "ini") if "openssl" in code
    ]
    config = site(tmp_path)
    shutil.rmtree(tmp_path / "ray")
    (tmp_path / "ray").mkdir()
    script = script.replace("10.0.0.1", "127.0.0.1")
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path / "ray", check=True, capture_output=True)
    assert re.fullmatch(r"[0-9a-f]{64}\n", (tmp_path / "ray" / "token").read_text())
    with served(config) as cluster:
        check_tls(cluster, "127.0.0.1", int(cluster.address.rpartition(":")[2]))
