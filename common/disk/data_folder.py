"""What stands in a process's data folder: every name, who writes it, whether it is backed up. Nobody else spells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from common.text.logs import LOCAL


class Name(StrEnum):
    MODELS = "models"
    SCORES = "scores"
    LEDGER = "ledger.sqlite"
    TOLD = "told.sqlite"
    REGISTRY = "registry.sqlite"
    HISTORY = "monitor.sqlite"
    SPENT = "spent.sqlite"
    SEEDS = "seeds.sqlite"
    AUDIT = "audit.sqlite"
    RATES = "rates.sqlite"
    APPROVALS = "approvals.sqlite"
    SETS = "sets.sqlite"
    STOCK = "stock"
    UNFINISHED = "unfinished"
    SCRATCH = "scratch"
    DEALT = "dealt"
    TAGS = "tags.key"
    JOBS = "jobs.sqlite"
    ANSWERS = "answers.sqlite"
    SHADOWS = "shadows.sqlite"
    PIPELINE = "pipeline.sqlite"
    LOGINS = "logins.sqlite"
    LOG = LOCAL


class BackUp(Enum):
    """The rule for back-ups, as the pages for operators say it."""

    DAILY = "yes, daily"
    YES = "yes"
    NO = "no"
    NEVER = "**never**"


@dataclass(frozen=True)
class Goes:
    """What of a name may be deleted once it is old enough, by `prune --OPTION DAYS`. All else stays: a book only grows."""

    option: str
    what: str


@dataclass(frozen=True)
class Kept:
    """One name: what is in it, what writes it, whether it is backed up and why, what is lost if it is deleted, what may go."""

    name: Name
    what: str
    writer: str
    back_up: BackUp
    why: str
    lost: str
    goes: Goes | None = None


_MODELS = Kept(
    Name.MODELS,
    "a folder for each training job: this side's half of the model, and what reviewers need",
    "the daemon",
    BackUp.YES,
    "this side's half of every model; without it nothing can be scored",
    "the models: train again",
    Goes("models", "models that are neither the champion nor what a rollback leads to"),
)
_REGISTRY = Kept(
    Name.REGISTRY,
    "versions of models, and each promotion and rollback",
    "the daemon",
    BackUp.DAILY,
    "which model is the champion; an older copy is refused until both sides begin anew",
    "the champion, and all that led to it: both sides promote anew",
)
_HISTORY = Kept(
    Name.HISTORY,
    "what was scored, month by month, and which alarms were answered",
    "the daemon; `monitor --retrain`",
    BackUp.YES,
    "the history of drift; what was scored is not scored again for it",
    "the history of drift",
)
_SPENT = Kept(
    Name.SPENT,
    "hashes of stocks that were used",
    "the daemon",
    BackUp.DAILY,
    "which stocks of randomness are spent",
    "the certainty that no stock is used twice: delete `stock` with it",
)
_SEEDS = Kept(
    Name.SEEDS,
    "fingerprints of the seeds of all jobs, this side's and the other's",
    "the daemon",
    BackUp.DAILY,
    "which seeds of the dealer were met before, so that none is taken twice",
    "the certainty that no seed comes again",
)
_RATES = Kept(
    Name.RATES,
    "what each client has had in the last 24 hours, and what people have allowed beyond",
    "the daemon; `allow`",
    BackUp.YES,
    "who allowed what to whom; an older copy would allow a day's jobs again",
    "a day's counting, and the record of what was allowed",
)
_APPROVALS = Kept(
    Name.APPROVALS,
    "jobs that wait for people of this side, and what these said",
    "the daemon; `approve`, `deny`",
    BackUp.YES,
    "who approved what; jobs that wait are held anew",
    "what was approved: those jobs are held anew",
)
_AUDIT = Kept(
    Name.AUDIT,
    "every offer, decision, opening, promotion, override and pruning, chained by hashes",
    "the daemon; `allow`, `approve`, `deny`, `audit accept`",
    BackUp.DAILY,
    "the account of what this side let pass, whose head the other side holds",
    "the account: the other side's copy of its heads shows that",
)
_SETS = Kept(
    Name.SETS,
    "hashes of the rows that each training was about",
    "the daemon",
    BackUp.DAILY,
    "which sets of rows were trained on; one that differs from them in few rows is refused",
    "the certainty that no two trainings tell of the few rows in which they differ",
)
_TAGS = Kept(
    Name.TAGS,
    "32 secret bytes, by which this side knows the other's shares of closed models again",
    "the daemon, once",
    BackUp.YES,
    "it belongs to the models: without it none that is closed can be scored",
    "the closed models: both sides train them again",
)
_DEALT = Kept(
    Name.DEALT,
    "of the newest jobs, and of stocks: what this side's seed was made of, and hashes of what it was dealt",
    "the daemon",
    BackUp.NO,
    "for an auditor of the dealer, if there is a dispute; whoever has it and this side's messages can read its rows",
    "the possibility to have a dealing replayed",
)
_STOCK = Kept(
    Name.STOCK,
    "randomness dealt ahead, each file for one job",
    "the daemon",
    BackUp.NEVER,
    "a stock that comes back could be used twice, and shows data",
    "stocks: deal new ones",
    Goes("stock", "unused randomness, which counts as used from then on"),
)
_UNFINISHED = Kept(
    Name.UNFINISHED,
    "what jobs that are not over go on from: places of this side's rows, its shares of weights",
    "the daemon",
    BackUp.NEVER,
    "one that comes back is behind what the other side has, and its job is refused",
    "interrupted jobs: they fail",
)
_SCRATCH = Kept(
    Name.SCRATCH, "columns of the job that runs, in files without a name", "the daemon", BackUp.NO, "temporary", "nothing"
)
_LOG = Kept(
    Name.LOG,
    "warnings and notes in full: the log itself is without rows' data",
    "the daemon",
    BackUp.NO,
    "a log, for this side's eyes alone: it may name rows",
    "warnings of the past",
    Goes("log", "warnings in full"),
)
_LEDGER = Kept(
    Name.LEDGER,
    "hashes of the rows each model has scored",
    "the daemon",
    BackUp.DAILY,
    "which rows were scored; an older copy would allow more scores than agreed",
    "the budget of scores: never delete it",
)
_TOLD = Kept(
    Name.TOLD,
    "hashes of the rows whose labels something was told of, with how many bits, by job",
    "the daemon",
    BackUp.DAILY,
    "how much was told of which rows' labels; an older copy would allow more to be told than agreed",
    "the budget of labels: never delete it",
)
_SCORES = Kept(
    Name.SCORES,
    "a file for each scoring job: scores, grades, decisions, reasons",
    "the daemon",
    BackUp.YES,
    "the results, which matured outcomes are compared with",
    "the results",
    Goes("scores", "files of scores, whose months then have no outcomes in `monitor` any more"),
)
_ANSWERS = Kept(
    Name.ANSWERS,
    "answers to requests of the bank's programs, for two days; rows with which sessions ended before they were answered, until"
    " they are, or are not asked for within a day of when they may be",
    "the daemon",
    BackUp.NO,
    "who repeats a request gets the answer it had",
    "that: a request that is repeated is scored again, and a row that ends sessions costs two stocks more",
)
_SHADOWS = Kept(
    Name.SHADOWS,
    "rows that programs of the bank asked for, as the champion and a challenger decided them",
    "the daemon",
    BackUp.YES,
    "how a challenger would have decided; nobody scores that again",
    "the comparison with a challenger, as far as it has come",
)
_PIPELINE = Kept(
    Name.PIPELINE,
    "runs of pipelines: what began each, the steps it has done, the jobs these were",
    "`pipeline`",
    BackUp.YES,
    "a run goes on where it was; an older copy finds its jobs again by their names",
    "the record of how each model came about; a run that was open does not go on",
)
_LOGINS = Kept(
    Name.LOGINS,
    "hashes of the links to the console that were asked for in the last two minutes",
    "`console`",
    BackUp.NO,
    "a link serves once, and not for long",
    "nothing: ask for another link",
)
_JOBS = Kept(Name.JOBS, "every job", "the daemon", BackUp.YES, "the list of jobs, with plans and results", "the list of jobs")

_OFFERED = Kept(
    Name.JOBS,
    "the jobs that were offered: by whom, on which dataset, accepted or why not, how they ended",
    "the daemon",
    BackUp.YES,
    "who asked for what, for an audit",
    "the record of what was asked for",
)

_BOTH = (
    _AUDIT, _REGISTRY, _SPENT, _SEEDS, _SETS, _RATES, _APPROVALS, _OFFERED, _HISTORY, _STOCK, _DEALT, _TAGS,
    _UNFINISHED, _SCRATCH, _LOGINS, _LOG,
)  # fmt: skip
GRID: Sequence[Kept] = (_MODELS, _LEDGER, *_BOTH)
BANK: Sequence[Kept] = (_MODELS, _SCORES, _TOLD, _ANSWERS, _SHADOWS, _PIPELINE, *_BOTH)
COORDINATOR: Sequence[Kept] = (_JOBS, _LOGINS, _LOG)
