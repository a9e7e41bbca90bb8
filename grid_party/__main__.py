"""`grid-party`: serve, doctor, budget, allow, models, monitor, report, index, verify, prune, backup, restore."""

from __future__ import annotations

from common.daemon.entries import party_group

main = party_group("grid-party", "The grid company's side: its columns, and account of what leaves.", "grid_party.commands")

if __name__ == "__main__":
    main()
