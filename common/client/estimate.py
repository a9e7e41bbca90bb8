"""`wattscore estimate`: what a job would cost, before anybody runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from common.client.client import Client
from common.errors import PlanError
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan, load_plan, parse_plan
from common.plan.request import Plan
from common.plan.score import ScorePlan
from common.plan.section import Section
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.process.settings import load_part
from common.rows.dataset import check_declared
from common.rows.declare import DatasetConfig
from common.rows.extent import Extent, extent_of
from common.rows.featurefile import declared
from common.stages.estimate import Estimate, Sizes, estimate, trained_columns
from common.stages.months import rows_in
from common.stages.price import USUAL
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.wire import coordinator_pb2 as wire

_OF_SEVERAL = "Give --rows of each bank and --columns GRID,BANK; or --like JOB; or --grid and one --bank for each, in order."
_ALONE = (
    "Give --rows of each bank and --columns BANK, their intercept included; or --like JOB; or one --bank for each, in order."
)
_REMEDY = "Give --rows and --columns GRID,BANK; or --like JOB; or the parties' configurations by --grid and --bank."


def _counts(context: click.Context, option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Numbers, one a bank or a side: 2000,1500,900."""
    if value is None:
        return None
    if re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", value) is None:
        raise click.BadParameter(f"{value!r} is not like 2000 or 2000,1500,900", context, option)
    return tuple(map(int, value.split(",")))


def _two(plan: AnyPlan, value: str | None) -> tuple[int, int] | None:
    """Columns of the grid and the bank: 12,5; of banks alone theirs: 5."""
    if value is None:
        return None
    alone = isinstance(plan, SeveralPlan) and plan.alone
    found = re.fullmatch(r"()([1-9]\d*)" if alone else r"([1-9]\d*),([1-9]\d*)", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not like {'5' if alone else '12,5'}", param_hint="--columns")
    return int(found[1] or 0), int(found[2])


def _line(context: click.Context, option: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """A line's bits a second, and its seconds one way: 20mbit,10ms."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)mbit,(\d+(?:\.\d+)?)ms", value)
    if found is None or float(found[1]) == 0.0:
        raise click.BadParameter(f"{value!r} is not like 20mbit,10ms", context, option)
    return 1e6 * float(found[1]), 1e-3 * float(found[2])


@click.command("estimate")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--rows",
    metavar="ROWS",
    callback=_counts,
    help="Matched rows; of several banks those of each, such as 2000,1500,900. Default: those of the smaller dataset.",
)
@click.option(
    "--columns",
    metavar="GRID,BANK",
    help="Trained columns of grid and bank, its intercept included, such as 12,5; of banks alone theirs, such as 5.",
)
@click.option(
    "--ids", metavar="GRID,BANK", callback=_counts, help="Enterprises of each side, of each bank. Default: all are matched."
)
@click.option("--months", type=click.IntRange(min=1), help="Months that both have, where rows are by month.")
@click.option("--like", help="A finished training or scoring job: its sizes.")
@click.option("--grid", type=click.Path(path_type=Path), help="The grid's configuration: the size of its dataset.")
@click.option(
    "--bank", "banks", multiple=True, type=click.Path(path_type=Path), help="The bank's; of several each, in the plan's order."
)
@click.option(
    "--line", metavar="RATE,DELAY", callback=_line, help="The line between each two, such as 20mbit,10ms. Default: loopback."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("client.toml"),
    show_default=True,
    envvar="WATTSCORE_CONFIG",
    help="Client configuration, for --like and for the model of a scoring plan.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def estimate_(
    plan: Path,
    rows: tuple[int, ...] | None,
    columns: str | None,
    ids: tuple[int, ...] | None,
    months: int | None,
    like: str | None,
    grid: Path | None,
    banks: tuple[Path, ...],
    line: tuple[float, float] | None,
    config: Path,
    as_json: bool,
) -> None:
    """Price PLAN (TOML) before it runs: bytes on each line, seconds, scores. Nothing is submitted."""
    asked = load_plan(plan)
    trained_as = _two(asked, columns)
    if isinstance(asked, SeveralPlan):
        known = _known_of_several(asked, like, grid, banks, months, config)
    else:
        _check_one(rows, ids, banks)
        known = _known(asked, like, {Party.GRID: grid, Party.BANK: banks[0] if banks else None}, months, config)
    of_one = rows if rows is None or isinstance(asked, SeveralPlan) else rows[0]
    given = {
        "rows": of_one,
        "columns": trained_as,
        "ids": ids,
        "months": min(months, _asked(asked) or months) if months else None,
    }
    known |= {name: value for name, value in given.items() if value is not None}
    if isinstance(asked, SeveralPlan):
        found = estimate_several(asked, _sizes_of_several(asked, known))
    else:
        trained = {"section": known["section"]} if "section" in known else {}
        found = estimate(asked, _sizes(asked, known), **trained)
    seconds = found.seconds if line is None else found.over(*line)
    if as_json:
        click.echo(json.dumps({**asdict(found), "seconds": round(seconds, 1)}, indent=1))
    else:
        _print(found, seconds, Console())


def _check_one(rows: tuple[int, ...] | None, ids: tuple[int, ...] | None, banks: tuple[Path, ...]) -> None:
    """Raises PlanError for sizes of several banks, where the plan is of one."""
    if len(rows or (0,)) > 1 or len(ids or (0, 0)) != 2 or len(banks) > 1:
        raise PlanError("these are sizes of several banks, and the plan is of one", remedy="Give one --rows, one --bank.")


def _sizes(plan: AnyPlan, known: dict[str, Any]) -> Sizes:
    if isinstance(plan, PredealPlan):
        return Sizes(plan.rows, *plan.sizes)
    if missing := [name for name in ("rows", "columns") if name not in known]:
        raise PlanError(f"nothing says how many {' and '.join(missing)} there are", remedy=_REMEDY)
    by_month = isinstance(plan, Plan) and "period" in plan.keys
    (grid, bank), ids = known["columns"], known.get("ids", (None, None))
    months = known.get("months", _asked(plan) or 1) if by_month else 0
    return Sizes(known["rows"], grid, bank, ids[0], ids[1], months, known.get("enterprises"))


def _known(
    plan: AnyPlan, like: str | None, configs: dict[Party, Path | None], months: int | None, config: Path
) -> dict[str, Any]:
    """Of rows, columns, ids and section what a job before, a model's training or the datasets' headers say."""
    found: dict[str, Any] = {}
    if isinstance(plan, Plan):
        extents = {party: _extent(plan, party, file) for party, file in configs.items() if file is not None}
        if extents:
            found["rows"] = min(extent.rows for extent in extents.values())
        if len(extents) == len(Party):
            by = (_asked(plan) or months or 1) if "period" in plan.keys else 1
            grid, bank = (extents[party].columns for party in Party)
            found["columns"] = trained_columns(plan, found["rows"], grid, bank, by if "period" in plan.keys else 0)
            found["ids"] = tuple(max(1, extents[party].rows // by) for party in Party)
    model = plan.model if isinstance(plan, ScorePlan) else ""
    trained = like if like or not model or model == "champion" else model
    if trained and (like or config.exists()):
        with Client.from_config(config) as client:
            found |= _of_job(client.show, trained, sized=like is not None)
    if like and (part := _asked(plan)) and part < (all_months := found.get("months", 0)):
        found |= {"rows": -(-found["rows"] * part // all_months), "months": part}
    return found


def _sizes_of_several(plan: SeveralPlan, known: dict[str, Any]) -> SeveralSizes:
    if missing := [name for name in ("rows", "columns") if name not in known]:
        remedy = _ALONE if plan.alone else _OF_SEVERAL
        raise PlanError(f"nothing says how many {' and '.join(missing)} there are", remedy=remedy)
    if plan.alone and known.get("ids"):
        raise PlanError("banks alone match no ids: --ids says nothing of them", remedy=_ALONE)
    rows, (grid, bank), ids = known["rows"], known["columns"], known.get("ids", (None,))
    if len(ids) not in (1, len(rows) + 1):
        raise PlanError(f"--ids has {len(ids)} numbers for {len(rows)} banks", remedy="Give the grid's, then each bank's.")
    months = known.get("months", 1) if "period" in plan.keys else 0
    of, out = known.get("held", (None, None))
    held = out if of == (rows, plan.split.test) else None
    sums = {"sums": known["sums"]} if "sums" in known else {}
    return SeveralSizes(rows, grid, bank, ids[0], ids[1:] or None, months, held, **sums)


def _known_of_several(
    plan: SeveralPlan, like: str | None, grid: Path | None, banks: tuple[Path, ...], months: int | None, config: Path
) -> dict[str, Any]:
    """The same of a plan of several banks: by all of their configurations, or by such a job before."""
    found: dict[str, Any] = {}
    if plan.alone and (banks or grid is not None):
        found |= _extents_alone(plan, grid, banks)
    elif banks or grid is not None:
        if grid is None or len(banks) != len(plan.banks):
            text = f"sizes by configurations take the grid's, and one of each of the {len(plan.banks)} banks"
            raise PlanError(text, got=len(banks), remedy=_OF_SEVERAL)
        of_grid = _extent(plan.line(0), Party.GRID, grid)
        of_banks = [_extent(plan.line(k), Party.BANK, file) for k, file in enumerate(banks)]
        by, fewest = months or 1, min(one.columns for one in of_banks)
        found["rows"] = tuple(min(one.rows, of_grid.rows) for one in of_banks)
        coded = trained_columns(plan.line(0), sum(found["rows"]), of_grid.columns, fewest, by if "period" in plan.keys else 0)
        found["columns"] = coded[0], fewest + 1  # pieces are made of the grid's columns alone
        found["ids"] = tuple(max(1, one.rows // by) for one in (of_grid, *of_banks))
    if like:
        with Client.from_config(config) as client:
            found |= _of_several_job(client.show(like))
    return found


def _extents_alone(plan: SeveralPlan, grid: Path | None, banks: tuple[Path, ...]) -> dict[str, Any]:
    """Of banks without a grid, all of whose rows train: no ids are matched."""
    if grid is not None or len(banks) != len(plan.banks):
        text = f"sizes by configurations take one of each of the {len(plan.banks)} banks, and none of who adds up for them"
        raise PlanError(text, got=len(banks), remedy=_ALONE)
    extents = [_extent(plan.line(k), Party.BANK, file) for k, file in enumerate(banks)]
    return {"rows": tuple(one.rows for one in extents), "columns": (0, min(one.columns for one in extents) + 1)}


def _of_several_job(job: wire.Job) -> dict[str, Any]:
    counts = [bank.report.counts for bank in job.banks if not bank.left_out]
    if not counts or not all(one.matched_rows for one in counts):
        raise PlanError(f"job {job.id} has matched no rows of several banks", remedy="Name such a training that succeeded.")
    grid, rows = job.grid.report.counts, tuple(one.matched_rows for one in counts)
    found: dict[str, Any] = {"rows": rows, "columns": (grid.trained_columns, counts[0].trained_columns)}
    plan = parse_plan(job.plan, job.id)
    if isinstance(plan, SeveralPlan):
        found["held"] = (rows, plan.split.test), tuple(one.test_rows for one in counts)
    if isinstance(plan, SeveralPlan) and plan.alone:
        return found | ({"sums": grid.iterations} if grid.iterations else {})
    if isinstance(plan, SeveralPlan) and "period" in plan.keys:
        return found | {"months": max(1, -(-sum(rows) // max(1, sum(one.matched_ids for one in counts))))}
    return found | {"ids": (grid.own_rows, *(one.own_rows for one in counts))}


def _asked(plan: AnyPlan) -> int:
    """How many months a plan names; 0: all that both have."""
    return len(plan.months) if isinstance(plan, ScorePlan) else 0


def _extent(plan: Plan, party: Party, file: Path) -> Extent:
    """The extent of the dataset that `plan` names, as this configuration declares it: of its rows in the months of the plan."""
    name = plan.side(party).dataset
    config = load_part(DatasetConfig, file, "datasets", name)
    table, config = check_declared(config, name=name, party=party), declared(config)
    extent = extent_of(table, config)
    if (isinstance(plan, ScorePlan) and plan.months) or (isinstance(plan, TrainPlan) and plan.until):
        extent = Extent(rows_in(plan, table, config), extent.columns)
    columns = plan.side(party).columns
    return extent if columns == ("*",) else Extent(extent.rows, len(columns))


def _of_job(show: Callable[[str], wire.Job], name: str, *, sized: bool) -> dict[str, Any]:
    """Columns and section of a job's model; its rows and ids too if `sized`."""
    job = show(name)
    plan, grid, bank = parse_plan(job.plan, job.id), job.grid.report.counts, job.bank.report.counts
    if not bank.matched_rows:
        raise PlanError(f"job {job.id} has matched no rows", remedy="Name a training or scoring job that succeeded.")
    found: dict[str, Any] = {}
    if sized:
        found |= {"rows": bank.matched_rows, "enterprises": bank.matched_ids}
        if "period" in (plan.keys if isinstance(plan, Plan) else ()):
            found |= {"months": max(1, -(-bank.matched_rows // bank.matched_ids))}
        else:
            found |= {"ids": (grid.own_rows, bank.own_rows)}
    if isinstance(plan, TrainPlan | SeveralPlan):
        section: Section = plan.model
        return found | {"columns": (grid.trained_columns, bank.trained_columns), "section": section}
    if isinstance(plan, ScorePlan) and plan.model != "champion":
        return found | _of_job(show, plan.model, sized=False)
    return found


def _words(line: str) -> str:
    return line.replace("_to_", " to ").replace("_", " ")


def _print_banks(found: Estimate, console: Console) -> None:
    """Of several banks: what is told of each one's labels."""
    console.print(f"{found.trained:,} rows train, {found.scores:,} scores of held-out rows", highlight=False)
    right = [
        Column(name, justify="right") for name in ("rows that train", "held out", "label_bits of each", "metric_bits of each")
    ]
    table = Table("of bank", *right, box=None)
    for place, bank in enumerate(found.banks, 1):
        each = f"{bank.label_bits / bank.trained:.4f}", f"{bank.metric_bits / max(1, bank.held):.4f}"
        table.add_row(str(place), f"{bank.trained:,}", f"{bank.held:,}", *each)
    console.print(table)


def _print(found: Estimate, seconds: float, console: Console) -> None:
    table = Table("line", Column("bytes", justify="right"), box=None)
    for name, count in found.bytes.items():
        table.add_row(_words(name), f"{count:,}")
    console.print(table)
    console.print(f"about {seconds:,.1f} s, within a factor of two; {found.rounds} messages one after another", highlight=False)
    if found.refused:
        console.print(found.refused, highlight=False)
    if found.banks:
        _print_banks(found, console)
    elif found.trained:
        console.print(f"{found.trained:,} rows train, {found.scores:,} scores of held-out rows", highlight=False)
        each = found.label_bits / found.trained
        told = f"at most {found.label_bits:,.0f} bits of labels are told: {each:.4f} of each of these rows (label_bits)"
        console.print(told, highlight=False)
        if found.fewer:
            told = f"that is more than {USUAL}, which a bank allows unless its policy says otherwise. {found.fewer}"
            console.print(told, highlight=False)
        each = found.metric_bits / max(1, found.held)
        told = f"metrics tell at most {found.metric_bits:,.0f} bits: {each:.4f} of each held-out row's label (metric_bits)"
        console.print(told, highlight=False)
    elif found.scores:
        console.print(f"{found.scores:,} scores", highlight=False)
    if found.scores:
        console.print("each scored row costs the grid's budget one model; the same linear model again is free", highlight=False)
