"""The synthetic world: reproducible, as dirty as stated, drifting where asked and nowhere else, and worth joining."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from common.errors import PlanError
from common.party import Party
from common.records.make import make_features
from common.trial import world as module
from common.trial.world import ID, LABEL, MEASURED, MONTH, Drift, credit_code_check_digit, make_world, world_config


def raw(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), enterprises=2000, months=36)


# 91350100M000100Y4 is the standard's own example; the others are published codes of large companies.
@pytest.mark.parametrize("code", ["91350100M000100Y43", "914403001922038216", "91330100799655058B"])
def test_check_digit_known_answers(code):
    assert credit_code_check_digit(code[:17]) == code[17]


@pytest.mark.parametrize("code", ["", "91350100M000100Y43", "91350100I000100Y4", "91350100m000100y4"])
def test_check_digit_refuses_what_is_no_code(code):
    with pytest.raises(ValueError, match="credit code"):
        credit_code_check_digit(code)


def test_check_digit_catches_every_single_error():
    code = "91350100M000100Y4"
    for at in range(17):
        wrong = {credit_code_check_digit(code[:at] + c + code[at + 1 :]) for c in module.CODE_ALPHABET if c != code[at]}
        assert "3" not in wrong


def test_ids_are_valid_codes_of_nobody_and_shares_hold(world):
    grid, bank = (set(raw(path)[ID].str.strip().str.upper()) for path in (world.grid_monthly, world.bank_monthly))
    assert (len(grid), len(bank), len(grid & bank)) == (1900, 1800, 1700)
    for code in grid | bank:
        assert code.startswith("91990000") and len(code) == 18 and credit_code_check_digit(code[:17]) == code[17]


def contents(world):
    return {file.name: file.read_bytes() for file in world.folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    one, same, other = (
        contents(make_world(tmp_path / name, enterprises=40, months=9, seed=s)) for name, s in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert one == same and one.keys() == {"grid_monthly.csv", "bank_monthly.csv"}
    assert all(one[name] != other[name] for name in one)


@pytest.mark.parametrize("side", ["grid", "bank"])
def test_dirt_is_at_the_stated_rates(world, side):
    records = raw(getattr(world, f"{side}_monthly"))
    clean = records[ID].str.strip().str.upper()
    rows = len(clean.unique()) * 36
    assert len(records) / rows - 1 == pytest.approx(module.DUPLICATE_RATE, abs=0.002)
    assert (records[ID] != clean).mean() == pytest.approx(module.ID_RATE, abs=0.003)
    assert (records[ID] != records[ID].str.strip()).mean() == pytest.approx(module.ID_RATE / 2, abs=0.003)
    for name in MEASURED[side]:
        assert (records[name] == "").mean() == pytest.approx(module.BLANK_RATE, abs=0.003)
        assert (records[name] == "n/a").mean() == pytest.approx(module.NA_TEXT_RATE, abs=0.002)
    for name in set(records) - {ID, *MEASURED[side]}:
        assert not records[name].isin(["", "n/a"]).any()
    if side == "grid":
        assert records["consumption"].str.startswith("-").mean() == pytest.approx(module.NEGATIVE_RATE, abs=0.002)
    else:
        assert records["overdue"].astype(int).mean() == pytest.approx(module.OVERDUE_RATE, abs=0.01)


@pytest.mark.parametrize("side", ["grid", "bank"])
def test_later_months_have_files_of_their_own(tmp_path, side):
    world = make_world(tmp_path, enterprises=60, months=9, later=3)
    before, after = raw(getattr(world, f"{side}_monthly")), raw(getattr(world, f"{side}_later"))
    assert sorted(before[MONTH].unique()) == [f"2023-{month:02d}" for month in range(1, 10)]
    assert sorted(after[MONTH].unique()) == ["2023-10", "2023-11", "2023-12"]
    assert list(before) == list(after)
    whole = make_world(tmp_path / "whole", enterprises=60, months=12)
    both = pd.concat([before, after]).sort_values([ID, MONTH], kind="stable", ignore_index=True)
    same = raw(getattr(whole, f"{side}_monthly")).sort_values([ID, MONTH], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(both, same)


DRIFT = (Drift("arrears_amount", "2023-08", factor=2.0), Drift("loan_amount", "2023-10", factor=0.001, missing=0.3))


@pytest.mark.parametrize(("side", "drift"), [("grid", DRIFT[0]), ("bank", DRIFT[1])])
def test_a_drift_changes_its_field_from_its_month_on_and_nothing_else(tmp_path, side, drift):
    plain, changed = (
        make_world(tmp_path / name, enterprises=200, months=9, later=3, drift=given)
        for name, given in (("plain", ()), ("changed", DRIFT))
    )
    for part in ("monthly", "later"):
        before, after = (raw(getattr(world, f"{side}_{part}")) for world in (plain, changed))
        since = before[MONTH] >= drift.month
        pd.testing.assert_frame_equal(before.drop(columns=drift.field), after.drop(columns=drift.field))
        assert (before.loc[~since, drift.field] == after.loc[~since, drift.field]).all()
        old, new = before.loc[since, drift.field], after.loc[since, drift.field]
        gone = (new == "") & (old != "")
        numbers = ~gone & ~old.isin(["", "n/a"])
        np.testing.assert_allclose(new[numbers].astype(float), old[numbers].astype(float) * drift.factor, atol=1e-4)
        assert (new[~numbers & ~gone] == old[~numbers & ~gone]).all()
        if since.any():
            assert gone.mean() == pytest.approx(drift.missing * 0.98, abs=0.05)
    assert (raw(changed.grid_later)["arrears_amount"] != raw(plain.grid_later)["arrears_amount"]).any()


@pytest.mark.parametrize(
    "wrong",
    [
        Drift("overdue", "2023-08"),
        Drift("consumption", "2024-01"),
        Drift("consumption", "2023-08", 0),
        Drift("days_late", "2023-08", 1, 2),
    ],
)
def test_a_drift_of_nothing_in_the_world_is_refused(tmp_path, wrong):
    with pytest.raises(PlanError, match="no such drift"):
        make_world(tmp_path, months=9, drift=(wrong,))
    assert list(tmp_path.iterdir()) == []


def prepared(frame):
    numbers = pd.get_dummies(frame).astype(float)
    filled = numbers.fillna(numbers.median())
    return StandardScaler().fit_transform(np.sign(filled) * np.log1p(filled.abs())).clip(-4, 4)


def test_joining_pays(world):
    grid, bank = (features(world, party) for party in Party)
    joined = grid.merge(bank, on=[ID, MONTH], validate="one_to_one")
    assert len(joined) == 7 * 1700
    y = joined[LABEL].to_numpy()
    test = pd.factorize(joined[ID])[0] % 3 == 0
    assert y.mean() == pytest.approx(0.10, abs=0.015)

    def auc_of(names):
        x = prepared(joined[names])
        scores = LogisticRegression(max_iter=1000).fit(x[~test], y[~test]).decision_function(x[test])
        return roc_auc_score(y[test], scores)

    at_bank = [name for name in bank if name not in (ID, MONTH, LABEL)]
    at_grid = [name for name in grid if name not in (ID, MONTH)]
    alone, joint = auc_of(at_bank), auc_of(at_grid + at_bank)
    assert 0.60 < alone < 0.70
    assert 0.74 < joint < 0.83
    assert joint > max(alone + 0.05, auc_of(at_grid) + 0.01)


def features(world, party):
    out = world.folder / f"{party.value}.parquet"
    make_features(world_config(party, world.folder), out)
    return pd.read_parquet(out).astype({ID: str, MONTH: str})


@pytest.mark.parametrize(
    "wrong",
    [
        {"enterprises": 0},
        {"months": 1},
        {"later": -1},
        {"grid_only": -0.1},
        {"grid_only": 0.5, "bank_only": 0.5},
        {"overdue": 0.0},
    ],
)
def test_refuses_worlds_without_a_sample(tmp_path, wrong):
    with pytest.raises(PlanError, match="no such world"):
        make_world(tmp_path, **wrong)


@pytest.mark.parametrize("rate", [0.01, 0.03])
def test_the_overdue_rate_is_as_asked(tmp_path, rate):
    records = pd.read_csv(make_world(tmp_path, enterprises=1000, overdue=rate).bank_monthly)
    assert records["overdue"].mean() == pytest.approx(rate, abs=0.003)
