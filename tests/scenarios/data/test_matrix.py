"""Inputs that go wrong through what looks at files before any process starts: `check`, and `try` up to its first process.

And the list of all of them: which commands each goes through, and the test of it; a command is left out only where an input
cannot meet it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.config import to_toml
from common.trial import run as trial_run
from tests.scenarios.data.inputs import CASES, Case, base

TESTS = Path(__file__).resolve().parents[2]
STARTED = "every check has passed"
PREFIX = "55"

DAEMONS = "scenarios/data/test_cases.py::"
ELSEWHERE: dict[int, dict[str, str]] = {
    4: {"daemons": DAEMONS + "test_a_second_daemon_on_the_same_folder_is_refused_and_the_first_still_works"},
    5: {
        "daemons": DAEMONS + "test_proxies_of_the_environment_hold_nobody_up_and_doctor_names_them",
        "doctor": DAEMONS + "test_proxies_of_the_environment_hold_nobody_up_and_doctor_names_them",
    },
    11: {"features": "common/rows/test_formats.py::test_parts_come_in_the_order_in_which_people_count"},
    12: {"daemons": DAEMONS + "test_a_disk_that_refuses_is_named_and_neither_party_keeps_a_model"},
    19: {"daemons": DAEMONS + "test_more_columns_than_rows_can_bear_are_refused_before_ids_are_matched"},
    20: {"jobs": DAEMONS + "test_more_jobs_than_are_kept_are_listed"},
    21: {"features": DAEMONS + "test_features_names_what_a_database_lacks_here"},
    25: {
        "features": DAEMONS + "test_instants_of_a_database_need_a_zone_and_then_are_the_right_months",
        "daemons": DAEMONS + "test_instants_of_a_database_need_a_zone_and_then_are_the_right_months",
    },
    28: {"features": "common/records/test_sql.py::test_a_dialect_made_for_another_sqlalchemy_is_named"},
    30: {"daemons": DAEMONS + "test_proxies_of_the_environment_hold_nobody_up_and_doctor_names_them"},
    31: {"daemons": DAEMONS + "test_an_organisation_replaces_its_ca_and_no_job_fails"},
}
PAGES = {32: "deploy/PKI.md", 33: "bank_party/COMPARE.md"}
"""Of these a page says what is so; nothing goes wrong."""


def test_every_input_goes_through_what_it_can_meet() -> None:
    ours = {case.number for case in CASES}
    assert ours | ELSEWHERE.keys() | PAGES.keys() == set(range(1, 34))
    assert not ours & (ELSEWHERE.keys() | PAGES.keys())
    for place in {place for tests in ELSEWHERE.values() for place in tests.values()}:
        file, test = place.split("::")
        assert re.search(rf"^(async )?def {test}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), place
    assert all((TESTS.parent / page).stat().st_size > 1000 for page in PAGES.values())
    # Each of the files goes through these by name; a job of the daemons where types alone do not tell its end.
    text = (TESTS / "scenarios/data/test_cases.py").read_text(encoding="utf-8")
    assert {"test_schema", "test_features", "test_a_job"} <= set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))
    assert ours - {case.number for case in CASES if case.runs} == {29}  # a rule of features, and of nothing else


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each input at the grid as its file, its declaration, and one good table of the bank."""
    folder = tmp_path_factory.mktemp("files")
    grid, bank = base(PREFIX)
    bank.to_csv(folder / "bank.csv", index=False)
    for case in CASES:
        case.write(grid.copy(), folder / case.key)
        declared = {"path": str(folder / case.key), "id": "id", "period": "month", **case.keys}
        (folder / f"{case.key}.toml").write_text(to_toml({"datasets": {"grid": declared}}))
    return folder


@pytest.fixture
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Started:
        def __init__(self, *_: object, meanwhile: Callable[[], None], **__: object) -> None:
            self._meanwhile = meanwhile

        def __enter__(self) -> None:
            self._meanwhile()
            raise AssertionError(STARTED)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(trial_run, "Trial", Started)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def said(result: Result) -> str:
    return " ".join((result.stdout + result.stderr).split())


@pytest.mark.usefixtures("_nothing_starts")
@pytest.mark.parametrize("case", CASES, ids=[case.key for case in CASES])
def test_try_refuses_what_it_cannot_read_before_any_job(files: Path, case: Case) -> None:
    bank = files / "bank.csv"
    keys = ("--key", "id", "--period", "month", "--label", "overdue")
    tried = run("try", "--grid", files / f"{case.key}.toml", "--bank", bank, *keys, "--allow-small")
    if case.schema is None:
        assert STARTED in str(tried.exception), said(tried)
    else:
        assert tried.exit_code == 2 and case.schema in said(tried), said(tried)


@pytest.mark.parametrize("case", [c for c in CASES if not c.keys], ids=[c.key for c in CASES if not c.keys])
def test_check_says_the_same(files: Path, case: Case) -> None:
    keys = ("--key", "id", "--period", "month", "--label", "overdue")
    found = run("check", files / case.key, files / "bank.csv", *keys)
    if case.schema is None:
        text = re.sub("^column '[^']*': ", "", case.told)  # a column's line begins with its name
        assert found.exit_code == 0 and text in said(found), said(found)
    else:
        assert found.exit_code == 2 and case.schema in said(found), said(found)
    assert "company" not in said(found)
