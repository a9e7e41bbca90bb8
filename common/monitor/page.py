"""The history as one self-contained HTML page, in English or Chinese: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.monitor.book import Reading
from common.monitor.config import MonitorConfig
from common.monitor.history import History, place
from common.monitor.reference import MISSING, OTHER, SCORE
from common.text.templates import pages
from common.text.words import Lang, words_in

_FOLDER = Path(__file__).parent
_WIDTH, _HEIGHT = 168.0, 36.0


@dataclass(frozen=True)
class Line:
    """A column's months: its index as points of a drawing, months with an alarm marked."""

    feature: str
    points: str
    limit: float
    dots: tuple[tuple[float, float, bool], ...]
    months: tuple[Reading, ...]
    alarmed: frozenset[str]

    @property
    def worst(self) -> Reading:
        return max(self.months, key=lambda reading: reading.psi)

    @property
    def last(self) -> Reading:
        return self.months[-1]


def make_page(history: History, config: MonitorConfig, *, title: str, when: str, lang: Lang) -> str:
    """when: the time it was made, as text."""
    return (
        pages([_FOLDER])
        .get_template("page.html.j2")
        .render(
            t=words_in(_FOLDER / "texts.toml", lang),
            lang=lang,
            title=title,
            when=when,
            score=SCORE,
            other=OTHER,
            absent=MISSING,
            alarms=history.alarms,
            moved=moved(history),
            models=[(model, lines(history, model, config)) for model in sorted({r.model for r in history.readings})],
            matured=history.matured,
            unread=history.unread,
            why=history.why,
            overrides=history.overrides,
            config=config,
            width=_WIDTH,
            height=_HEIGHT,
        )
    )


def moved(history: History) -> list[Reading]:
    """The readings with an alarm that tell how rows were spread then and now, the newest month first."""
    marked = {(alarm.model, alarm.month, alarm.feature) for alarm in history.alarms}
    found = [r for r in history.readings if r.bins and (r.model, r.month, r.feature) in marked]
    return sorted(found, key=lambda reading: place(reading.month, history.entered), reverse=True)


def lines(history: History, model: str, config: MonitorConfig) -> list[Line]:
    """The score first, then columns with alarms, then by the greatest index."""
    months: dict[str, list[Reading]] = {}
    for reading in history.readings:
        if reading.model == model:
            months.setdefault(reading.feature, []).append(reading)
    marked = {(alarm.feature, alarm.month) for alarm in history.alarms if alarm.model == model}
    found = [_line(name, of, frozenset(m for f, m in marked if f == name), config) for name, of in months.items()]
    return sorted(found, key=lambda line: (line.feature != SCORE, not line.alarmed, -line.worst.psi))


def _line(feature: str, months: Sequence[Reading], alarmed: frozenset[str], config: MonitorConfig) -> Line:
    top = max(2 * config.psi, *(reading.psi for reading in months))
    step = (_WIDTH - 8) / max(1, len(months) - 1)

    def height(psi: float) -> float:
        return round(_HEIGHT - 4 - psi / top * (_HEIGHT - 8), 1)

    dots = tuple((round(4 + k * step, 1), height(r.psi), r.month in alarmed) for k, r in enumerate(months))
    points = " ".join(f"{x},{y}" for x, y, _ in dots)
    return Line(feature, points, height(config.psi), dots, tuple(months), alarmed)
