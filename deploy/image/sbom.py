"""Prints what is in this image as a CycloneDX 1.5 list: Python packages by their metadata, Debian's by dpkg."""

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def licence_of(package: Distribution) -> str:
    meta = package.metadata
    named = meta.get("License-Expression") or meta.get("License") or ""
    classes = [c.rsplit(" :: ", 1)[-1] for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    return named if 0 < len(named) < 80 else ", ".join(classes)  # some put the whole text into that field


def python_component(package: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    found = {"type": "library", "name": name, "version": package.version, "purl": f"pkg:pypi/{name}@{package.version}"}
    return found | ({"licenses": [{"license": {"name": licence_of(package)}}]} if licence_of(package) else {})


def debian_components() -> list[dict[str, Any]]:
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:deb/debian/{name}@{version}?arch={arch}"}
        for name, version, arch in (line.split() for line in listed.splitlines())
    ]


inside = sorted((python_component(package) for package in distributions()), key=lambda c: str(c["name"]))
itself = next(c for c in inside if c["name"] == "wattscore")
json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": itself | {"type": "application"}},
        "components": [c for c in inside if c is not itself] + debian_components(),
    },
    sys.stdout,
    indent=1,
)
print()  # a reader by lines must not lose the last
