"""`wattscore-coordinator serve --config FILE.toml`."""

from __future__ import annotations

from common.process.group import Entry, LazyGroup
from common.process.memory import share_one_heap

share_one_heap()
main = LazyGroup(
    "wattscore-coordinator",
    "The neutral process: it deals randomness, drives jobs, and sees no row.",
    {
        "serve": Entry("common.coordinator.daemon:serve", "Serve until SIGTERM or Ctrl-C."),
        "console": Entry("common.coordinator.daemon:console", "Print a link to the coordinator's pages, which it serves."),
    },
)

if __name__ == "__main__":
    main()
