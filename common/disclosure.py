"""What a joint computation may open, to whom and why. A plan lists these by name; `mpc.session` opens nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Opened(Enum):
    """The name of everything that can be opened, as a plan writes it."""

    __hash__ = object.__hash__  # each is one object; Enum's own is a call of Python
    MATCHED_IDS = "matched_ids"
    PERIOD_RANGE = "period_range"
    MATCHED_ROWS = "matched_rows"
    COUNTS = "counts"
    SPLIT = "split"
    GRADIENTS = "gradients"
    GRID_WEIGHTS = "grid_weights"
    BANK_WEIGHTS = "bank_weights"
    TEST_SCORES = "test_scores"
    SCORES = "scores"
    GRID_REASONS = "grid_reasons"
    METRICS = "metrics"
    BIN_COUNTS = "bin_counts"
    DRIFT = "drift"
    TREE_SPLITS = "tree_splits"
    POOLED_MOMENTS = "pooled_moments"
    POOLED_METRICS = "pooled_metrics"
    TRAINING_CHECK = "training_check"
    POOLED_STEPS = "pooled_steps"
    EARLY_STOP = "early_stop"


@dataclass(frozen=True)
class Disclosure:
    """One value a plan opens: what it is, who learns it, and why it is needed."""

    value: Opened
    to: tuple[str, ...]
    what: str
    why: str


_BOTH = ("grid", "bank")
_ALL = ("grid", "bank", "coordinator", "client")

CATALOGUE: dict[Opened, Disclosure] = {
    d.value: d
    for d in (
        Disclosure(
            Opened.MATCHED_IDS,
            _BOTH,
            "which enterprises both sides hold, and each side's number of ids",
            "rows must line up",
        ),
        Disclosure(Opened.PERIOD_RANGE, _BOTH, "each side's first and last period", "the months compared must be the same"),
        Disclosure(Opened.MATCHED_ROWS, _BOTH, "which months of matched enterprises both sides hold", "rows must line up"),
        Disclosure(
            Opened.COUNTS,
            _ALL,
            "ids, rows, columns and bins of each side, texts of reasons; ids and rows matched, rows trained and tested;"
            " stocks dealt ahead; fingerprints of models; how far an interrupted job is",
            "the dealer must know what to deal",
        ),
        Disclosure(Opened.SPLIT, ("grid",), "which matched rows train and which test", "both must train on the same rows"),
        Disclosure(Opened.GRADIENTS, _BOTH, "each side's own gradient in each step", "owned weights are stepped in clear"),
        Disclosure(Opened.GRID_WEIGHTS, ("grid",), "the grid's own weights, on the plan's grid", "the grid scores with them"),
        Disclosure(Opened.BANK_WEIGHTS, ("bank",), "the bank's own weights, on the plan's grid", "the bank scores with them"),
        Disclosure(
            Opened.TEST_SCORES,
            ("bank",),
            "the joint score of each test row, a challenged champion's too",
            "quality is measured where the label is",
        ),
        Disclosure(Opened.SCORES, ("bank",), "the joint score of each row asked for", "the bank decides with it"),
        Disclosure(
            Opened.GRID_REASONS,
            ("bank",),
            "up to two reasons of the grid for each row asked for, from a list of texts",
            "an applicant may ask why",
        ),
        Disclosure(
            Opened.METRICS,
            ("coordinator", "client"),
            "AUC and its gain, KS, Gini, log-loss, Brier, largest |u|",
            "the client must see the result",
        ),
        Disclosure(
            Opened.BIN_COUNTS,
            ("grid",),
            "which bins of the grid's columns hold too few labels of a class; training labels of each class in the others",
            "the grid codes its bins by weight of evidence",
        ),
        Disclosure(
            Opened.DRIFT,
            ("coordinator", "client"),
            "each side's largest stability index and number of alarms",
            "the client must know when to look",
        ),
        Disclosure(
            Opened.TREE_SPLITS,
            _BOTH,
            "which side each level of each tree splits by, and to that side by which of its own thresholds, of several banks"
            " to each; of columns declared monotone the direction",
            "each side tells its own rows apart by them",
        ),
        Disclosure(
            Opened.POOLED_MOMENTS,
            ("bank",),
            "over the rows of all banks: how many train, deviations and counts of each bank column, of linear models"
            " second moments to 1/32, of trees shares of rows below some values to 1/256",
            "weights mean the same at each bank",
        ),
        Disclosure(
            Opened.POOLED_METRICS,
            ("bank", "coordinator", "client"),
            "how many held-out scores of each class lie in which of up to 256 cells, over all banks; to others the AUC of it",
            "one figure says what all banks together gained",
        ),
        Disclosure(
            Opened.TRAINING_CHECK,
            ("bank",),
            "four random combinations of how far the last step of training moved, and of its gradient, in steps of 2^-5;"
            " of a network, of how far all steps moved, in steps of 1/16 to 1/32 of what ends the job;"
            " without a dealer of that too, in steps of 8",
            "a training that a wrong message has spoilt must be noticed",
        ),
        Disclosure(
            Opened.POOLED_STEPS,
            ("bank",),
            "over the rows of all banks, at each step: the mean log-loss, its gradient and second derivatives by the banks'"
            " columns, to 2^-14; all banks' weights follow from them",
            "banks alone step in clear",
        ),
        Disclosure(
            Opened.EARLY_STOP,
            _ALL,
            "after each epoch of a network whether training rows that were held back are told better than after any before:"
            " one bit; how many epochs there were",
            "training ends when it gains no more",
        ),
    )
}
