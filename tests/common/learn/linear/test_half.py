"""A stored model: the same scores byte for byte after a reload, a digest of every byte, and files that must be refused."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import DataError, JobNotFound
from common.features.options import Preparation
from common.home.models import ModelStore
from common.learn.design import INTERCEPT
from common.learn.linear.design import prepare
from common.learn.linear.half import PartyModel
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.stages.tables import table

COLUMNS = {"income": ColumnConfig(kind="numeric", min=-1e9), "debt": ColumnConfig(kind="numeric", transform="signed_log")}


def world(count: int = 200, seed: int = 3) -> FeatureTable:
    rng = np.random.default_rng(seed)
    return table([f"F{k}" for k in range(count)], income=rng.normal(5, 2, count), debt=rng.standard_cauchy(count) * 1e3)


def model(party: Party = Party.BANK, **more: Any) -> PartyModel:
    made, _ = prepare(world(), COLUMNS, Preparation(min_binary=0), 150, 1e-4, party)
    weights = np.array([0.1, -1 / 3, np.pi])[: len(made.columns)]
    raw = {"job": "job-1", "weights": weights, "source": COLUMNS, "about": {"plan_sha256": "00", "note": "é"}}
    return PartyModel(party=party, fitted=made.fitted, **{**raw, **more})


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def saved(store: ModelStore, tmp_path: Path) -> Path:
    """The folder of a stored model."""
    store.save(model())
    return tmp_path / "models" / "job-1"


def rewrite(folder: Path, arrays: bytes | None = None, **head: Any) -> None:
    """Changes a stored model and makes its hash fit again: what a tool that knows the format could do."""
    raw = json.loads((folder / "model.json").read_text())
    if arrays is not None:
        (folder / "arrays.npz").write_bytes(arrays)
        raw["arrays_sha256"] = hashlib.sha256(arrays).hexdigest()
    raw |= head
    (folder / "model.json").write_text(json.dumps({key: value for key, value in raw.items() if value is not ...}))


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("party", Party)
def test_a_reloaded_model_scores_to_the_same_bytes(store: ModelStore, party: Party) -> None:
    one = model(party)
    store.save(one)
    two = store.load("job-1")
    fresh = world(500, seed=9)
    assert two.partial_scores(fresh).tobytes() == one.partial_scores(fresh).tobytes()
    assert (two.job, two.party, two.columns, two.source, two.about) == (one.job, party, one.columns, one.source, one.about)
    assert two.fitted == one.fitted


def test_the_banks_model_has_an_intercept_and_the_grids_has_none() -> None:
    assert model(Party.BANK).columns == ("income", "debt", INTERCEPT)
    assert model(Party.GRID).columns == ("income", "debt")
    zero = model(Party.BANK, weights=np.array([0.0, 0.0, 2.5]))
    assert set(zero.partial_scores(world()).tolist()) == {2.5}


def test_the_digest_is_stable_and_changes_with_anything_in_the_model(tmp_path: Path) -> None:
    variants = [
        model(),
        model(weights=np.array([0.1, -1 / 3, np.nextafter(np.pi, 4)])),
        model(job="job-2"),
        model(about={"plan_sha256": "01"}),
        model(source={**COLUMNS, "debt": ColumnConfig(kind="numeric")}),
        model(Party.GRID),
    ]
    digests = [ModelStore(tmp_path / str(k)).save(variant) for k, variant in enumerate(variants)]
    assert len(set(digests)) == len(variants)
    assert ModelStore(tmp_path / "again").save(model()) == digests[0]


def test_the_digest_covers_every_byte_of_both_files(store: ModelStore, saved: Path) -> None:
    digest = store.save(model())
    text = (saved / "model.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == digest
    assert json.loads(text)["arrays_sha256"] == hashlib.sha256((saved / "arrays.npz").read_bytes()).hexdigest()
    assert sorted(file.name for file in saved.iterdir()) == ["arrays.npz", "model.json"]


def test_saving_again_replaces_the_model(store: ModelStore) -> None:
    store.save(model())
    store.save(model(weights=np.zeros(3)))
    assert store.load("job-1").weights.tolist() == [0, 0, 0]


def refused(store: ModelStore) -> None:
    with pytest.raises(DataError, match="the stored model of job job-1 is damaged or of another format") as caught:
        store.load("job-1")
    assert "back-up" in caught.value.remedy


def test_arrays_with_any_byte_changed_are_refused(store: ModelStore, saved: Path) -> None:
    whole = (saved / "arrays.npz").read_bytes()
    for at in range(0, len(whole), 7):
        (saved / "arrays.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        refused(store)
    (saved / "arrays.npz").write_bytes(whole[:-1])
    refused(store)
    (saved / "arrays.npz").write_bytes(whole)
    store.load("job-1")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff\xfe{}", b"{}", b'{"format": 1}'])
def test_a_head_that_is_no_model_is_refused(store: ModelStore, saved: Path, text: bytes) -> None:
    (saved / "model.json").write_bytes(text)
    refused(store)


@pytest.mark.parametrize(
    "head",
    [
        {"format": 5}, {"format": ...}, {"job": "job-2"}, {"job": ...}, {"party": "coordinator"}, {"columns": ["income"]},
        {"columns": ...}, {"preparation": {"version": 2, "fitted": []}}, {"preparation": []}, {"preparation": ...},
        {"source": {"income": {"kind": "text"}}}, {"source": []}, {"about": ...}, {"arrays_sha256": "00"},
    ],
    ids=str,
)  # fmt: skip
def test_a_head_with_a_wrong_part_is_refused(store: ModelStore, saved: Path, head: dict[str, Any]) -> None:
    rewrite(saved, **head)
    refused(store)


class Bomb:
    """Says so if anything unpickles it."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    "arrays",
    [
        npz(weights=np.array([Bomb(), Bomb(), Bomb()], dtype=object)),
        pickle.dumps({"weights": Bomb()}),
        b"",
        b"PK\x03\x04 not a zip",
        npy(np.zeros(3)),
        npz(other=np.zeros(3)),
        npz(weights=np.zeros(2)),
        npz(weights=np.zeros((3, 1))),
        npz(weights=np.zeros(3, np.int64)),
    ],
    ids=["objects", "pickle", "empty", "no zip", "one array", "another name", "too few", "a matrix", "integers"],
)
def test_arrays_that_are_no_weights_are_refused_even_when_their_hash_fits(
    store: ModelStore, saved: Path, arrays: bytes
) -> None:
    rewrite(saved, arrays)
    refused(store)


def test_a_rewritten_model_that_is_whole_is_read(store: ModelStore, saved: Path) -> None:
    rewrite(saved, npz(weights=np.ones(3)))
    assert store.load("job-1").weights.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../job-1", "a/b", "a\\b", "/etc", "-x", "_x", "a.b", "a\n", "a\0", "é", "a" * 65]
)
def test_names_that_could_leave_the_folder_are_refused(store: ModelStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(JobNotFound, match="is not a job's name"):
        store.load(name)
    with pytest.raises(JobNotFound, match="is not a job's name"):
        store.save(model(job=name))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_job_is_not_found(store: ModelStore, saved: Path) -> None:
    with pytest.raises(JobNotFound, match="no model of job job-9"):
        store.load("job-9")
    (saved / "arrays.npz").unlink()
    with pytest.raises(JobNotFound):
        store.load("job-1")


def test_a_model_does_not_print_its_weights() -> None:
    assert "0.333" not in repr(model())
