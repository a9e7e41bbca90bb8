"""A job is told to stop once an authorisation that it rests on is withdrawn, or the table of them is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.config import validate
from common.daemon import agreed
from common.daemon.agreed import watch_consents
from common.doctor.data import check_datasets
from common.errors import ConfigError, DataError, IdentityError, PolicyError, WattScoreError
from common.party import Party
from grid_party.settings import GridSettings

GONE = DataError("there is no file", public="there is no file")


class Table:
    """Answers, one a look."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)

    def withdrawn(self) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2 * agreed._LOOK < 60  # the table may be gone for one look
    monkeypatch.setattr(agreed, "_LOOK", 0.0)


async def stopped(*answers: bool | Exception) -> list[WattScoreError]:
    table: Any = Table(*answers)
    found: list[WattScoreError] = []
    await watch_consents(table, "grid", found.append)
    assert not table.answers
    return found


async def test_a_withdrawal_stops_the_job_with_a_cause_that_names_nobody() -> None:
    (cause,) = await stopped(False, False, True)
    assert isinstance(cause, PolicyError) and cause.public == (
        "an enterprise whose rows are in this job has withdrawn its authorisation at the grid"
    )


async def test_a_table_that_is_being_replaced_is_looked_at_again_and_one_that_is_gone_stops_the_job() -> None:
    assert len(await stopped(GONE, False, GONE, True)) == 1
    assert await stopped(False, GONE, GONE) == [GONE]
    (cause,) = await stopped(OSError(2, "no"), OSError(2, "no"))
    assert isinstance(cause, PolicyError)


@pytest.mark.parametrize("error", [IdentityError("no CA is trusted for volt"), OSError(5, "no"), ZeroDivisionError("a value")])
async def test_a_grant_that_cannot_be_looked_at_stops_the_job_too(error: Exception) -> None:
    class Grant:
        looks = 0

        def ended(self) -> WattScoreError | None:
            self.looks += 1
            if self.looks != 2:
                raise error
            return None

    grant, found = Grant(), list[WattScoreError]()
    await watch_consents(None, "grid", found.append, grant)
    assert grant.looks == 4  # once is no reason
    if isinstance(error, WattScoreError):
        assert found == [error]
    else:
        assert isinstance(found[0], PolicyError) and "a value" not in str(found[0]) and "log of the grid" in found[0].remedy


def settings(folder: Path, **consent: Any) -> GridSettings:
    raw = {
        "tls": {"certificate": folder / "x.pem", "key": folder / "x.key", "trust": folder},
        "data": folder / "data",
        "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
        "peer": {"identity": "wattscore://acme/bank-party"},
        "listen": "127.0.0.1:0",
        "datasets": {"meters": {"path": folder / "t.csv", "id": "id"}},
        "consent": consent,
    }
    return validate(GridSettings, raw, "grid.toml")


def test_a_table_is_of_a_dataset_that_there_is_and_the_doctor_reads_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x\nA,1\nB,2\n")
    (tmp_path / "agreed.csv").write_text("id,to\nA,2999-01-01\nB,2020-01-01\n")
    table = {"path": tmp_path / "agreed.csv", "id": "id"}
    with pytest.raises(ConfigError, match="consent: there is no dataset meter"):
        settings(tmp_path, meter=table)
    for until, said in (("to", "1 enterprises have authorised"), ("until", "no column 'until'")):
        (_, found), _ = check_datasets(settings(tmp_path, meters={**table, "until": until}), Party.GRID)
        assert said in found.found and found.check == "consent meters"


async def test_without_a_table_nothing_is_watched() -> None:
    await watch_consents(None, "grid", lambda _: pytest.fail("stopped"))
