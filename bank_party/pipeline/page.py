"""The page of pipelines in the bank's console: each run, its steps, and what each has found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from bank_party.pipeline.book import Run, RunBook, RunState, Step, Taken
from common.console import facts
from common.console.pages import Pages
from common.console.run import OwnPages
from common.disk.data_folder import Name
from common.text.words import Lang

_SHOWN = 10  # runs


@dataclass(frozen=True)
class Line:
    """A step of a run. state: done, open, stopped, or later for one that has not begun. at: when it ended or began, else 0."""

    step: Step
    state: str
    at: float
    jobs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    model: str = ""  # of the run, once it is trained


def line(run: Run, step: Step, taken: Taken | None, model: str = "") -> Line:
    if taken is None:
        return Line(step, "later", 0.0, (), ())
    state = "done" if taken.done else "stopped" if run.state is RunState.STOPPED else "open"
    return Line(step, state, taken.ended or taken.at, tuple(taken.jobs.values()), tuple(_facts(taken)), model)


def _facts(taken: Taken) -> Iterator[tuple[str, str]]:
    """As people read them; a page of files is told by its name alone."""
    for key, value in taken.facts.items():
        yield key, Path(value).name if key == "page" else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def make_pages(data: Path) -> OwnPages:
    """data: the bank's data folder."""
    book = RunBook(data / Name.PIPELINE)

    def add(pages: Pages, app: FastAPI) -> None:
        @app.get("/{lang}/pipelines")
        def pipelines(request: Request, lang: Lang) -> Response:
            found = []
            for run in book.runs(_SHOWN):
                steps = book.steps(run.run)
                trained = steps.get(Step.TRAIN)
                model = str(trained.facts.get("model", "")) if trained is not None else ""
                found.append((run, [line(run, step, steps.get(step), model) for step in Step]))
            return pages.page("pipelines", request, lang, runs=found, kept=facts.kept(pages.home))

    return OwnPages(("pipelines",), Path(__file__).parent, add)
