"""A grid that looks at authorisations and grants of a running job every half second: run in place of the real one."""

from __future__ import annotations

from common.daemon import agreed
from grid_party.__main__ import main

if __name__ == "__main__":
    agreed._LOOK = 0.5
    main()
