"""Prints what a pyproject.toml requires at run time, for scores on request over HTTPS and for spans, one a line."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
extras = [needed for extra in ("serve", "otel") for needed in project["optional-dependencies"][extra]]
print("\n".join([*project["dependencies"], *extras]))
