"""The offline bundle: a hash for every wheel, nothing that is no wheel, and an environment made of it alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.offline.requirements import requirements
from tests.patience import patience
from tests.source import ROOT


def test_each_wheel_has_its_hash(tmp_path: Path) -> None:
    (tmp_path / "typing_extensions-4.1-py3-none-any.whl").write_bytes(b"one")
    (tmp_path / "PyNaCl-1.6.0-cp311-abi3-linux_x86_64.whl").write_bytes(b"two")
    (tmp_path / "requirements.txt").write_text("of before")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"two", b"one"))
    assert requirements(tmp_path) == [f"pynacl==1.6.0 --hash=sha256:{one}", f"typing-extensions==4.1 --hash=sha256:{two}"]


@pytest.mark.parametrize("name", ["pynacl-1.6.0.tar.gz", "requirements.txt"])
def test_what_would_run_code_to_install_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SystemExit, match=r"pynacl-1.6.0.tar.gz: only wheels belong here|it is empty"):
        requirements(tmp_path)


@pytest.mark.skipif(not os.environ.get("WATTSCORE_BUNDLE"), reason="minutes of downloads: WATTSCORE_BUNDLE=1 runs it")
def test_what_make_bundle_leaves_installs_without_an_index_and_not_once_a_byte_differs(tmp_path: Path) -> None:
    bundle = ROOT / "bundle-out"
    subprocess.run(["make", "bundle"], cwd=ROOT, check=True, timeout=patience(600))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True, timeout=patience(120))
    words = ["-m", "pip", "--isolated", "install", "--quiet", "--no-index", "--find-links", bundle, "--require-hashes"]
    install = [tmp_path / "bin" / "python", *words, "-r", bundle / "requirements.txt"]
    env = clean | {"PIP_CONFIG_FILE": os.devnull}
    wheel = next(bundle.glob("click-*.whl"))
    whole = wheel.read_bytes()
    wheel.write_bytes(whole + b"\0")
    refused = subprocess.run(install, env=env, capture_output=True, text=True, timeout=patience(300))
    assert refused.returncode and "DO NOT MATCH THE HASHES" in refused.stderr
    wheel.write_bytes(whole)
    subprocess.run(install, env=env, check=True, cwd=tmp_path, timeout=patience(600))
    for name in ("wattscore", "grid-party", "bank-party", "wattscore-coordinator"):
        assert "version" in subprocess.check_output([tmp_path / "bin" / name, "--version"], text=True, env=env, cwd=tmp_path)
    code = "import bank_party.commands, grid_party.commands, common.coordinator.daemon, python_calamine"
    subprocess.run([tmp_path / "bin" / "python", "-c", code], check=True, env=env, cwd=tmp_path)
