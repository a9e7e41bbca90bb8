"""`bank-party serve --config FILE.toml`."""

from __future__ import annotations

from functools import partial

from common.daemon.daemon import start
from common.party import Party
from common.process.serve import command

main = command("bank-party", partial(start, Party.BANK))

if __name__ == "__main__":
    main()
