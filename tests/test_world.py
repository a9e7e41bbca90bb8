"""The synthetic world: reproducible, as dirty as stated, without look-ahead, and worth joining."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from common import world as module
from common.errors import PlanError
from common.world import ID, LABEL, MONTH, World, build_tables, credit_code_check_digit, make_world

MEASURED = {
    "grid": ["consumption", "arrears_record", "arrears_amount", "days_late"],
    "bank": ["tax_record", "tax_amount", "loan_record", "loan_amount", "repayment_due"],
}


def raw(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), enterprises=2000)


@pytest.fixture(scope="module")
def tables(world):
    return tuple(pd.read_csv(path) for path in build_tables(world))


def altered(world, folder, change):
    """A copy of `world` in `folder` with `change(side, records)` made to its monthly records."""
    copy = World(folder, folder / "grid_monthly.csv", folder / "bank_monthly.csv")
    for side, source, target in (
        ("grid", world.grid_monthly, copy.grid_monthly),
        ("bank", world.bank_monthly, copy.bank_monthly),
    ):
        change(side, raw(source)).to_csv(target, index=False)
    return copy


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


def test_ids_are_valid_codes_of_nobody_and_shares_hold(tables):
    grid, bank = (set(table[ID]) for table in tables)
    assert (len(grid), len(bank), len(grid & bank)) == (1900, 1800, 1700)
    for code in grid | bank:
        assert code.startswith("91990000") and len(code) == 18 and credit_code_check_digit(code[:17]) == code[17]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    worlds = [make_world(tmp_path / name, enterprises=40, months=9, seed=s) for name, s in [("a", 1), ("b", 1), ("c", 2)]]
    files = [[p.read_bytes() for p in (w.grid_monthly, w.bank_monthly, *build_tables(w))] for w in worlds]
    assert files[0] == files[1]
    assert all(one != other for one, other in zip(files[0], files[2], strict=True))


@pytest.mark.parametrize("side", ["grid", "bank"])
def test_dirt_is_at_the_stated_rates(world, side):
    records = raw(getattr(world, f"{side}_monthly"))
    clean = records[ID].str.strip().str.upper()
    rows = len(clean.unique()) * 24
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


def test_tables_have_a_row_per_sample_and_few_blanks(tables):
    for table in tables:
        assert not table.duplicated([ID, MONTH]).any()
        assert list(table[MONTH].unique()) == ["2023-06", "2023-09", "2023-12", "2024-03", "2024-06", "2024-09"]
        assert len(table) == 6 * table[ID].nunique()
        features = table.drop(columns=[ID, MONTH]).select_dtypes("number")
        assert features.min().min() >= 0
        assert 0 < features.isna().mean().max() < 0.05
    assert set(tables[1][LABEL]) == {0, 1}


def naive(history, operation, window):
    """A feature of one enterprise's clean values, oldest first, up to the sample's month."""
    values = [v for v in history[-window:] if v == v]
    if not values:
        return float("nan")
    last = history[-1]
    return {
        "last": last,
        "mean": sum(values) / len(values),
        "max": max(values),
        "count": sum(values),
        "ratio": last * len(values) / (sum(values) or float("nan")),
    }[operation]


@pytest.mark.parametrize("side", [0, 1])
def test_features_equal_a_naive_computation(world, tables, side):
    records = raw((world.grid_monthly, world.bank_monthly)[side])
    records[ID] = records[ID].str.strip().str.upper()
    recipe = (module._GRID_RECIPE, module._BANK_RECIPE)[side]
    for code in tables[side][ID].unique()[:5]:
        mine = records[records[ID] == code].drop_duplicates(MONTH).set_index(MONTH).sort_index()
        numbers = mine.apply(pd.to_numeric, errors="coerce")
        numbers = numbers.where(numbers >= 0)
        for _, sample in tables[side][tables[side][ID] == code].iterrows():
            history = numbers.loc[: sample[MONTH]].to_dict("list")
            for feature, column, operation, window in recipe:
                expected = naive(history[column], operation, window)
                assert sample[feature] == pytest.approx(expected, abs=1e-4, nan_ok=True), feature
            if side == 1:
                assert sample[LABEL] == numbers["overdue"][numbers.index > sample[MONTH]].iloc[0]


@given(
    st.lists(st.sampled_from([float("nan"), 0.0, 1.0, 2.5]), min_size=1, max_size=9),
    st.sampled_from(["mean", "max", "count", "ratio"]),
    st.integers(2, 6),
)
def test_trailing_operations_leave_out_what_is_missing(history, operation, window):
    got = module._trailing(np.array([history]), operation, window)[0]
    expected = [naive(history[: t + 1], operation, window) for t in range(len(history))]
    assert got == pytest.approx(expected, nan_ok=True)


def test_no_sample_looks_ahead(tmp_path):
    small = make_world(tmp_path / "small", enterprises=60)
    before = [pd.read_csv(path) for path in build_tables(small)]

    def scramble(side, records):
        late = records[MONTH] > "2024-03"
        for name in [*MEASURED[side], *(["overdue"] if side == "bank" else [])]:
            records.loc[late, name] = "1" if name == "overdue" else "123456"
        return records

    (tmp_path / "scrambled").mkdir()
    (tmp_path / "cut").mkdir()
    scrambled = [pd.read_csv(p) for p in build_tables(altered(small, tmp_path / "scrambled", scramble))]
    cut = [pd.read_csv(p) for p in build_tables(altered(small, tmp_path / "cut", lambda _, r: r[r[MONTH] <= "2024-04"]))]
    for old, new, short in zip(before, scrambled, cut, strict=True):
        early = old[MONTH] <= "2024-03"
        features = [name for name in old if name != LABEL]
        pd.testing.assert_frame_equal(old.loc[early, features], new.loc[early, features])
        pd.testing.assert_frame_equal(old[early].reset_index(drop=True), short)
        numeric = old[features].select_dtypes("number").columns
        assert (old.loc[~early, numeric] != new.loc[~early, numeric]).any().all()


def test_each_table_comes_from_its_own_records(tmp_path):
    small = make_world(tmp_path / "small", enterprises=60)
    mine = build_tables(small)

    def replace_other(keep):
        return lambda side, records: records if side == keep else records.assign(**dict.fromkeys(MEASURED[side], "5"))

    for at, side in enumerate(("grid", "bank")):
        folder = tmp_path / side
        folder.mkdir()
        theirs = build_tables(altered(small, folder, replace_other(side)))
        assert theirs[at].read_bytes() == mine[at].read_bytes()
        assert theirs[1 - at].read_bytes() != mine[1 - at].read_bytes()


def prepared(frame):
    numbers = pd.get_dummies(frame).astype(float)
    return StandardScaler().fit_transform(np.log1p(numbers.fillna(numbers.median()))).clip(-4, 4)


def test_joining_pays(tables):
    grid, bank = tables
    joined = grid.merge(bank, on=[ID, MONTH], validate="one_to_one")
    assert len(joined) == 6 * 1700
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


@pytest.mark.parametrize(
    "wrong", [{"enterprises": 0}, {"months": 6}, {"grid_only": -0.1}, {"grid_only": 0.5, "bank_only": 0.5}]
)
def test_refuses_worlds_without_a_sample(tmp_path, wrong):
    with pytest.raises(PlanError, match="no such world"):
        make_world(tmp_path, **wrong)


def test_the_shortest_world_has_one_sample_an_enterprise(tmp_path):
    grid, bank = build_tables(make_world(tmp_path, enterprises=10, months=7))
    assert len(pd.read_csv(grid)) == 9 and list(pd.read_csv(bank)[MONTH].unique()) == ["2023-06"]
