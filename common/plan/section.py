"""What a plan says of the learner it trains with: a section that every learner has of its own, and that all plans ask alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from common.config import StrictModel
from common.disclosure import Opened


class Floors(Protocol):
    """What a party's policy holds every training to; see `plan.policy.Policy`."""

    @property
    def min_iterations(self) -> int: ...

    @property
    def min_batch(self) -> int: ...

    @property
    def largest_step(self) -> float: ...

    @property
    def smallest_ridge(self) -> float: ...

    @property
    def finest_weight_bits(self) -> int: ...

    @property
    def own_weights(self) -> bool: ...

    @property
    def owned_weights(self) -> bool: ...

    @property
    def half_dealer(self) -> bool: ...

    @property
    def no_dealer(self) -> bool: ...


class Section(StrictModel, ABC):
    """How to train with one learner."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether nobody ever holds the model."""

    @property
    @abstractmethod
    def opens(self) -> frozenset[Opened]:
        """What training itself opens, besides what every training does."""

    @property
    @abstractmethod
    def reach(self) -> float | None:
        """The largest |u| for which training is accurate; None: any."""

    @property
    def pieces(self) -> float:
        """The deviation to which pieces of a line are prepared at least; see `features.pieces`."""
        return 0.0

    @property
    def half_dealt(self) -> bool:
        """Whether no dealer knows what masks the tables, so that nothing else of the job may rest on such masks."""
        return False

    @property
    def undealt(self) -> bool:
        """Whether nobody deals anything, in the whole job."""
        return False

    @property
    @abstractmethod
    def calibrated(self) -> bool:
        """Whether a training that converged leaves log-odds which, on the rows trained on, fit their labels unstretched."""

    @property
    def line_ridge(self) -> float | None:
        """The ridge by which a weight for each column is held; None of a learner that has no such weights."""
        return None

    @property
    @abstractmethod
    def scoring(self) -> Section:
        """The same but for what does not decide what scoring consumes: stocks for scores are dealt by it."""

    @property
    def scored(self) -> dict[str, int] | None:
        """Of this section what scores are dealt by, two numbers by key, where that is not how many columns each side has."""
        return None

    @abstractmethod
    def refused(self, floors: Floors) -> list[str]:
        """Each thing a party with these floors does not allow, in words."""

    @abstractmethod
    def check_ahead(self) -> None:
        """Raises ValueError for a training that cannot be dealt ahead."""
