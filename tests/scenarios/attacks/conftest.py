"""Three real daemons under the policies they have by default, for those who try to read what is not theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.client.client import Client
from common.trial.processes import CLIENT
from tests.scenarios.end_to_end.lab import Lab, dataset_files, own


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of its own for each attack, so that no book has seen another's rows; nothing is written yet."""
    folder = tmp_path_factory.mktemp("attack")
    with Lab(folder, dataset_files(folder, ("rows", "more", "after"))) as lab:
        for party in ("grid", "bank"):  # ten jobs on the same rows in a minute: what stops them is to be something else
            own(lab, party, "allow", str(CLIENT), "--jobs", "1000", "--rows", "1000000", "--models", "1000")
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with lab.client() as client:
        yield client
