"""`bank-party serve --config FILE.toml`."""

from __future__ import annotations

from functools import partial

from bank_party.role import BankRole
from common.daemon.daemon import start
from common.party import Party
from common.process.serve import command

main = command("bank-party", partial(start, Party.BANK, BankRole))

if __name__ == "__main__":
    main()
