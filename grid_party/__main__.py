"""`grid-party serve --config FILE.toml`."""

from __future__ import annotations

from functools import partial

from common.daemon.daemon import start
from common.party import Party
from common.process.serve import command
from grid_party.role import GridRole

main = command("grid-party", partial(start, Party.GRID, GridRole))

if __name__ == "__main__":
    main()
