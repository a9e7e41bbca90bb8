"""What a party makes in the demo, by itself: features of the past, of the newest month without label, declared columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from common.config import validate
from common.party import Party
from common.records import quality_page
from common.rows.dataset import DatasetConfig, read_table
from common.rows.featurefile import read_made
from common.trial.demo import HISTORY, LATER, MONTHS, NEW, NEWEST, Side, build_side, lay_out
from common.trial.world import ID, LABEL, MONTH
from tests.extent import extent
from tests.scenarios.demo_alarms import named


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[Party, tuple[Path, Side]]:
    folder = tmp_path_factory.mktemp("demo")
    homes = {party: folder / party.value for party in Party}
    for home in homes.values():
        home.mkdir()
    lay_out(homes, enterprises=300, seed=7)
    return {party: (home, build_side(party, home)) for party, home in homes.items()}


@pytest.mark.parametrize("party", Party)
def test_the_newest_month_is_scored_and_never_trained_on(party: Party, sides: dict[Party, tuple[Path, Side]]) -> None:
    home, _ = sides[party]
    history, new = (pd.read_parquet(home / f"{name}.parquet").astype({MONTH: str}) for name in (HISTORY, NEW))
    last = "2025-09" if party is Party.BANK else NEWEST  # a row without a label at the bank is matched with none
    assert set(new[MONTH]) == {NEWEST} and (history[MONTH].min(), history[MONTH].max()) == ("2024-03", last)
    later = pd.read_parquet(home / f"{LATER}.parquet").astype({MONTH: str})
    assert set(later[MONTH]) == {"2026-03", "2026-06"} and list(later) == list(new) and set(later[ID]) == set(new[ID])
    assert (LABEL in history) is (party is Party.BANK) and LABEL not in new
    assert list(history.drop(columns=LABEL, errors="ignore")) == list(new)
    assert new[ID].is_unique and set(new[ID]) == set(history[ID])


@pytest.mark.parametrize("party", Party)
def test_a_home_holds_its_own_records_and_their_report_alone(party: Party, sides: dict[Party, tuple[Path, Side]]) -> None:
    home, side = sides[party]
    assert {file.name for file in home.iterdir()} == {
        f"{party.value}_monthly.csv", f"{party.value}_later.csv", f"records-{party.value}.toml",
        f"records-{party.value}-new.toml", f"records-{party.value}-later.toml",
        "history.parquet", "new.parquet", "later.parquet", "quality.html", "quality.json",
    }  # fmt: skip
    assert pd.read_csv(home / f"{party.value}_monthly.csv")[MONTH].nunique() == MONTHS
    assert {finding.rule for finding in side.cleaned.findings} >= {"duplicate", "empty"}


@pytest.mark.parametrize("party", Party)
def test_the_datasets_are_valid_and_every_column_is_declared(party: Party, sides: dict[Party, tuple[Path, Side]]) -> None:
    home, side = sides[party]
    for name, raw in side.datasets.items():
        dataset = validate(DatasetConfig, dict(raw), name)
        labelled = party is Party.BANK and name == HISTORY
        found = read_table(dataset, name=name, party=party, require_label=labelled)
        assert (found.table.label is not None) is labelled
        made = read_made(home / f"{name}.parquet")["recipes"]
        assert len(made) == len(found.columns) == len(dataset.columns) > 20
        silent = {column for column, config in dataset.columns.items() if config.reason is None}
        assert silent == {"industry_static" if party is Party.GRID else "region_static"}


@pytest.mark.untraced
def test_alarms_name_what_drifts_in_its_quarter_and_worlds_without_drift_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six worlds are six hundred looks: two quarters at two parties, each of more than twenty features."""
    monkeypatch.setattr(quality_page, "as_html", lambda *_: "")  # its charts would take most of the time
    for seed in (3, 7):
        found = named(tmp_path, 300, seed)
        assert {month for _, month, _ in found} == {"2026-06"}
        assert {f for side, _, f in found if side == "grid"} >= {"arrears_amount_mean_3", "arrears_amount_3_over_consumption_3"}
        assert {f for side, _, f in found if side == "bank"} >= {"loan_amount_last", "repayment_due_over_loan_amount"}
        assert all(("arrears_amount" if side == "grid" else "loan_amount") in f for side, _, f in found)
    assert {seed: found for seed in range(extent(2, 6)) if (found := named(tmp_path, 120, seed, ()))} == {}
