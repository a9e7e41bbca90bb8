"""`python -m tests.vectors.write`: writes the files of known answers; with --check, says which are not what the code gives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.vectors import basics
from tests.vectors.banks import banks
from tests.vectors.comparisons import comparisons
from tests.vectors.form import FOLDER, text
from tests.vectors.jobs import jobs
from tests.vectors.network import networks
from tests.vectors.reasons import reasons
from tests.vectors.training import trainings
from tests.vectors.trees import trees

FILES: dict[str, Callable[[], Any]] = {
    "streams.json": basics.streams,
    "links.json": basics.links,
    "truncations.json": basics.truncations,
    "trainings.json": trainings,
    "networks.json": networks,
    "trees.json": trees,
    "banks.json": banks,
    "comparisons.json": comparisons,
    "reasons.json": reasons,
    "splits.json": basics.splits,
    "matches.json": basics.matches,
    "frames.json": basics.frames,
    "refused.json": basics.refused,
    "jobs.json": jobs,
}


def main(arguments: list[str]) -> int:
    """The exit code: 1 if a file differs and only a check was asked for."""
    differ = 0
    for name, make in FILES.items():
        made, file = text(make()) + "\n", FOLDER / name
        same = file.exists() and file.read_text(encoding="utf-8") == made
        print(f"{name}: {'as it stands' if same else 'differs'}")
        differ += not same
        if arguments != ["--check"]:
            file.write_text(made, encoding="utf-8")
    return int(differ > 0 and arguments == ["--check"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
