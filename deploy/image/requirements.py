"""Prints what a pyproject.toml requires at run time, and for scores on request over HTTPS, one requirement a line."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
print("\n".join([*project["dependencies"], *project["optional-dependencies"]["serve"]]))
