"""What the image holds and how it runs: small, unprivileged, with nothing left of its making, and a list of its contents."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from common import __version__
from tests.source import ROOT

pytestmark = pytest.mark.containers

MOST_BYTES = 400_000_000


def test_it_is_small(image: Any) -> None:
    assert image.attrs["Size"] < MOST_BYTES, f"{image.attrs['Size'] / 1e6:.0f} MB"


def test_it_says_what_it_is(image: Any) -> None:
    labels = image.labels
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image.attrs["Config"]["User"] == "10001:10001"
    assert image.attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "wattscore-health"]


def test_no_compiler_package_installer_cache_or_privileged_program_is_inside(image: Any) -> None:
    search = (
        "for tool in gcc cc g++ ld make pip pip3 perl; do command -v $tool; done;"
        "find / -xdev \\( -perm /6000 -type f -o -path '*/.cache/*' -o -name pip -type d -o -name '*.whl' \\);"
        "find /var/cache /var/lib/apt/lists /home /tmp /data -mindepth 1"
    )
    assert inside(image, "sh", "-c", f"({search}) || true", user="0:0").split() == []


def test_every_role_starts_on_a_read_only_root(image: Any) -> None:
    for words in (["grid-party"], ["bank-party"], ["wattscore-coordinator"], ["wattscore"], ["wattscore-health"]):
        assert __version__ in inside(image, *words, "--version")


def test_nothing_that_is_needed_was_trimmed(image: Any) -> None:
    """Charts, Parquet and SQLite, every module, with warnings as errors: unprivileged, and only /tmp to write to."""
    act = (ROOT / "deploy" / "image" / "warm.py").read_text(encoding="utf-8")
    assert inside(image, "python", "-c", act, stderr=True, tmpfs={"/tmp": "mode=1777"}) == ""


def test_what_starts_is_compiled(image: Any) -> None:
    """Byte code is there of what is imported, of the package itself too: it cannot be written on a read-only root."""
    act = """import os, sys, bank_party.commands, common.client.commands, grid_party.commands
places = {str(getattr(module, "__cached__", None)) for module in sys.modules.values()}
print(*(place for place in places if "site-packages" in place and not os.path.exists(place)))"""
    assert inside(image, "python", "-c", act).strip() == ""


def test_no_development_package_is_inside(image: Any) -> None:
    names = {component["name"] for component in sbom(image)["components"]}
    assert names & {"scikit-learn", "scipy", "pytest", "docker", "mypy", "ruff", "grpcio-tools", "setuptools", "pip"} == set()


def test_its_list_of_contents_names_every_package_and_its_licence(image: Any) -> None:
    listed = sbom(image)
    assert (listed["bomFormat"], listed["metadata"]["component"]["name"]) == ("CycloneDX", "wattscore")
    python = [c for c in listed["components"] if c["purl"].startswith("pkg:pypi/")]
    assert [c["name"] for c in python if not c.get("licenses")] == []
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    constraints = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    pinned = dict(line.split("==") for line in constraints.splitlines() if "==" in line)
    versions = {c["name"]: c["version"] for c in python}
    for name in (text.split(">")[0].split("[")[0] for text in needed):
        assert versions[name] == pinned[name], name
    assert any(c["purl"].startswith("pkg:deb/debian/libc6@") for c in listed["components"])


def sbom(image: Any) -> Any:
    return json.loads(inside(image, "cat", image.labels["wattscore.sbom"]))


def inside(image: Any, *words: str, **options: Any) -> str:
    """What a command prints in a container of the image, with a read-only root, no network and no privilege."""
    contained = {"read_only": True, "network_mode": "none", "cap_drop": ["ALL"], "remove": True}
    said: bytes = image.client.containers.run(image.id, list(words), **contained, **options)
    return said.decode()
