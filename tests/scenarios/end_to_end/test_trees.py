"""Boosted trees through the three daemons: trained as a challenger of a line, promoted, scoring and watched, rolled back."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from common.client.client import Client
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables, succeed
from tests.scenarios.end_to_end.test_production import party, wattscore
from tests.scenarios.end_to_end.test_scoring import score

TREES: dict[str, Any] = {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6}


@pytest.fixture(scope="module")
def models(shared: Lab) -> tuple[str, str]:
    """A line, which is the champion, and trees that challenge it."""
    shared.heal()
    shared.write("scratch", *make_tables("G", 2400, seed=9))
    with shared.client() as client:
        line = succeed(client, make_plan("scratch", model={"iterations": 10})).id
        wattscore("promote", line, "--force", "--config", shared.folder / "client.toml")
        return line, succeed(client, make_plan("scratch", challenge=True, model=TREES)).id


def test_trees_challenge_a_line_are_promoted_score_and_are_rolled_back(
    lab: Lab, client: Client, models: tuple[str, str]
) -> None:
    line, trees = models
    found = client.show(trees).bank.report
    assert found.challenge.champion == line and found.challenge.auc > 0.6
    assert "tree_splits" in client.show(trees).grid.report.opened
    config = ("--config", lab.folder / "client.toml")
    assert f"the champion is now {trees}" in wattscore("promote", trees, "--force", *config).output
    done = succeed(client, score("champion", "told", grid_reasons=1))
    scores = pd.read_csv(lab.data("bank") / "scores" / f"{done.id}.csv", keep_default_na=False)
    said = scores["reasons"].str.contains("Falling use")
    assert 0 < said.sum() < 2400 and scores["u"][said].mean() > scores["u"][~said].mean()
    assert "grid_reasons" in done.grid.report.opened and "grid_reasons" in done.bank.report.opened
    assert len(scores) == 2400 and scores["u"].std() > 0.2 and (scores["decision"] != "").all()
    for side in ("grid", "bank"):
        listed = json.loads(party(side, lab, "models", "--json").output)
        assert {m["job"]: m["stage"] for m in listed["models"]}[trees] == "champion"
    assert f"the champion is now {line}" in wattscore("rollback", *config).output


def test_both_sides_write_a_report_of_trees(lab: Lab, models: tuple[str, str]) -> None:
    _, trees = models
    for side in ("grid", "bank"):
        page = lab.folder / f"{side}-trees.html"
        party(side, lab, "report", trees, "--out", page)
        text = page.read_text(encoding="utf-8")
        assert "boosted trees" in text and "12 of depth 2, rate 0.4" in text and "levels split" in text
