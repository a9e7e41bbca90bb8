"""A coordinator that hides one match from the bank: run as a process in place of the real one."""

from __future__ import annotations

import numpy as np

from common.coordinator.__main__ import main
from common.match import intersect
from common.party import Party

_honest = intersect._Sender.tell


async def _tell(self: intersect._Sender) -> None:
    if self._whom == f"the {Party.BANK.value}":
        self.marks[np.flatnonzero(self.marks)[0]] = False
    await _honest(self)


if __name__ == "__main__":
    intersect._Sender.tell = _tell  # type: ignore[method-assign]
    main()
