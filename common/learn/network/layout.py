"""A network of several banks: whose columns its units take, which output intercept is whose, which rows a step is over.

All banks have the same columns, a last one of ones among them; the output alone has one for each. PROTOCOL.md section 16.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from common.errors import PolicyError
from common.learn.layout import BanksLayout
from common.learn.network.descent import Pulled
from common.learn.network.scales import WEIGHT
from common.learn.network.steps import VALIDATION, Step, epoch_steps, fit_rows, make_steps
from common.learn.network.weights import Weights, first_block, first_output
from common.mpc.fixedpoint import Words, encode
from common.party import Party
from common.plan.network import Network


@dataclass(frozen=True)
class NetworkLayout(BanksLayout):
    """Sizes of such a training."""

    @property
    def own(self) -> int:
        """Columns of a bank: the common ones and that of ones."""
        return self.common + 1

    def count(self, units: int) -> int:
        """How many weights there are: those of units, of the output, and its intercepts."""
        return (self.grid + self.own) * units + units + self.banks

    def steps(self, section: Network, rows: int) -> list[Step]:
        """The steps, over one bank's rows, of an average over the rows of all. Raises as `make_steps` does.

        An epoch has as many as over the rows of one bank, and each is over an equal part of each bank's rows, to one row. What
        it averages over is at least what all banks' parts are together: a bank need not know how many those of others are.

        Raises PolicyError for fewer rows than an epoch has steps.
        """
        every, fit = epoch_steps(section, self.total), self.held(section, rows).start
        if fit < every:
            of_which = f", of which {rows - fit} are held back to stop early," if fit < rows else ""
            raise PolicyError(
                f"{rows} training rows of a bank{of_which} are fewer than the {every} steps of an epoch",
                expected=f"at least {every}",
                got=fit,
                remedy="Use larger batches, or batch = 0 for steps over all rows.",
                public="a bank has fewer training rows than an epoch has steps",
            )
        over = (self.total - self._held_of_all(section)) // every + self.banks

        def part(step: Step) -> Step:
            low, high = (fit * (step.number % every + more) // every for more in (0, 1))
            return replace(step, low=low, high=high, data_rows=high, over=over)

        return [part(step) for step in make_steps(section, self.total)]

    @staticmethod
    def held(section: Network, rows: int) -> slice:
        """One bank's training rows that no step is over, its last ones: held back where training may stop early."""
        return slice(fit_rows(section, rows), rows)

    @property
    def averaged(self) -> int:
        """Rows that an epoch's loss is a mean over: those that all banks hold back, or a few more."""
        return max(1, self.total // VALIDATION + self.banks)

    def _held_of_all(self, section: Network) -> int:
        """The fewest rows that all banks hold back together."""
        return 0 if section.early_stop is None else max(0, self.total // VALIDATION - self.banks)

    def first(self, section: Network, party: Party) -> Weights:
        """One end's share of where the weights begin: the grid's block and the output at the grid, the banks' at each bank.

        These are public numbers; what the intercepts begin with is another share.
        """
        units, columns = section.hidden, {Party.GRID: self.grid, Party.BANK: self.own}
        own = encode(first_block(section.seed, party, columns[party], sum(columns.values()), units), WEIGHT)
        output = encode(first_output(section.seed, units), WEIGHT) if party is Party.GRID else np.zeros(units, np.uint64)
        other = np.zeros((columns[party.other], units), np.uint64)
        return Weights(own, other, output, np.zeros(self.banks, np.uint64))

    @staticmethod
    def line(weights: Weights, line: int) -> Weights:
        """The weights by which one bank's rows are scored."""
        return replace(weights, intercept=weights.intercept[line : line + 1])

    def spread(self, party: Party, line: int, pulled: Pulled) -> Words:
        """What one line pulls, among all weights, (L,)."""
        intercept = np.zeros(self.banks, np.uint64)
        intercept[line] = pulled.intercept[0]
        return replace(pulled, intercept=intercept).joined(party)
