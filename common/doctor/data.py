"""A party's datasets by their headers, and whether disk and memory suffice for a plan on them. No row of theirs is read.

Estimates, from `peak_mib` of real jobs at 5,000 to 150,000 rows and 20 to 40 columns: see tests/common/doctor/test_data.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from common.daemon.settings import PartySettings
from common.doctor.finding import Finding, Machine, failed, passed, warned
from common.errors import WattScoreError
from common.home.stock import stock_bytes
from common.home.stocks import predealt
from common.mpc.threads import AHEAD_BYTES
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.plan.request import Plan
from common.plan.train import TrainPlan
from common.process.settings import CoordinatorSettings
from common.rows.consent import ConsentConfig, Consents
from common.rows.dataset import DatasetConfig, check_declared
from common.rows.extent import Extent, extent_of
from common.rows.featurefile import declared
from common.rows.tablefile import TableFile
from common.stages.offer import check_offer
from common.stages.split import MIXED

_MIB = 1 << 20
_BASE = 240 * _MIB  # a daemon that has run a small job
_OWN, _OTHERS = 32, 16  # bytes of memory for each row and trained column, of the own side and of the other
_ROW = 450  # bytes for each row besides: ids, masks of u and of the residual, link
_KEPT = 60  # bytes on disk that a job leaves for each row: scores, ledger
_WORKER_MIB = 128  # of each thread that deals, with some forty columns, up to `threads.AHEAD_BYTES` of all
_SPARE = 256 * _MIB  # disk for models, journals and the rest


def check_datasets(settings: PartySettings, party: Party) -> tuple[list[Finding], dict[str, Extent]]:
    """Each declared dataset, and the size of those that can be read."""
    findings, sizes = [], {}
    if not settings.datasets:
        findings.append(warned("datasets", "none is declared", "Declare one under [datasets.NAME]; plans name them."))
    for name, config in settings.datasets.items():
        try:
            file, config = check_declared(config, name=name, party=party), declared(config)
        except WattScoreError as error:
            findings.append(failed(f"dataset {name}", error))
            continue
        size = sizes[name] = extent_of(file, config)
        findings.append(_describe(name, config, file, size))
    return findings + [_consents(name, config) for name, config in settings.consent.items()], sizes


def _consents(name: str, config: ConsentConfig) -> Finding:
    """Rows of this table are read: it is small, and each of them counts."""
    try:
        count = Consents(config, name).count()
    except WattScoreError as error:
        return failed(f"consent {name}", error)
    if not count:
        return warned(f"consent {name}", "no authorisation is in force today", "No job on this dataset can run.")
    return passed(f"consent {name}", f"{count:,} enterprises have authorised the use of this dataset")


def _describe(name: str, config: DatasetConfig, file: TableFile, size: Extent) -> Finding:
    if config.label is not None and config.label not in file.header:
        remedy = "It can be scored, not trained on: declare the label's name, or add the column."
        return warned(f"dataset {name}", f"no label column {config.label!r} in the file", remedy)
    return passed(f"dataset {name}", f"about {size.rows:,} rows, {size.columns} columns as declared")


def check_plan(plan: AnyPlan, settings: PartySettings, party: Party) -> Finding:
    """The party's answer to an offer of this plan, as a check."""
    try:
        settings.policy.check(plan)
        if isinstance(plan, Plan):
            check_offer(plan, party, settings.datasets, settings.policy)
    except WattScoreError as error:
        return failed("plan", error)
    if isinstance(plan, TrainPlan) and plan.mixes_enterprises:
        return warned("plan", f"this side would accept it, but {MIXED}", 'Set by = "enterprise" or "time" in [split].')
    return passed("plan", "this side would accept it")


@dataclass(frozen=True)
class Needs:
    """Bytes that a job takes at most."""

    disk: int
    memory: int
    what: str


def job_memory(rows: int, own: int, other: int, budget: int | None = None) -> tuple[int, int]:
    """Bytes of memory and of scratch files that a job takes at a party; `budget`: its bytes for matrices in memory."""
    matrices = rows * (_OWN * own + _OTHERS * other)
    held = matrices if budget is None else min(matrices, budget)
    return _BASE + _ROW * rows + held, matrices - held


def party_needs(settings: PartySettings, party: Party, sizes: Mapping[str, Extent], plan: AnyPlan | None) -> Needs:
    """For `plan`, or for training on the largest dataset. The other side is taken to have as many columns as this one."""
    if isinstance(plan, PredealPlan):
        stock = stock_bytes(party, predealt(plan))
        return Needs(stock + _SPARE, _BASE, f"a stock for {plan.rows:,} rows")
    chosen = sizes.get(plan.side(party).dataset) if isinstance(plan, Plan) else None
    size = chosen or max(sizes.values(), key=lambda s: s.rows * s.columns, default=Extent(0, 0))
    memory, scratch = job_memory(size.rows, size.columns, size.columns, settings.memory_mib * _MIB)
    what = f"a job on {size.rows:,} rows, {size.columns} columns of each side"
    return Needs(_SPARE + _KEPT * size.rows + scratch, memory, what)


def dealer_needs(settings: CoordinatorSettings) -> Needs:
    """The coordinator holds no rows; what it may hold of masks is what its settings allow, and some for each thread."""
    dealing = min(_WORKER_MIB * settings.workers, max(_WORKER_MIB, AHEAD_BYTES // _MIB))
    held = settings.memory_mib + 2 * settings.deal_ahead_mib + dealing
    return Needs(_SPARE, _BASE + held * _MIB, "what it may hold while it deals")


def check_workers(settings: CoordinatorSettings, machine: Machine) -> Iterator[Finding]:
    """More threads that deal than cores; nothing where there are enough."""
    if settings.workers > (found := machine.cores()):
        text = f"{settings.workers} threads deal for linear models, and this process may run on {found} of the machine's cores"
        yield warned("workers", text, f"Set `workers = {found}`: more of them take memory and no time off.")


def check_room(settings: PartySettings | CoordinatorSettings, needs: Needs, machine: Machine) -> Iterator[Finding]:
    """Disk where the data folder is, and memory."""
    free = machine.free_disk(settings.data)
    text = f"{_mib(free)} free where {settings.data} is, {_mib(needs.disk)} needed for {needs.what}"
    yield passed("disk", text) if free >= needs.disk else failed("disk", text, "Free some, or move `data` to a larger disk.")
    free = machine.free_memory()
    text = f"{_mib(free)} free, about {_mib(needs.memory)} needed for {needs.what}"
    if free >= needs.memory:
        yield passed("memory", text)
    else:
        yield warned("memory", text, "Add memory, end other processes, or lower `memory_mib`: the rest goes to files.")


def _mib(count: int) -> str:
    return f"{count / _MIB:,.0f} MiB"
