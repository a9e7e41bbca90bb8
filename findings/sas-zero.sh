#!/usr/bin/env bash
# pandas 3.1.1: read_sas reads a 0 of a SAS transport file (XPORT) as 5.4e-79, so that nothing is equal to 0 and all is above it.
# A 0 stands there as eight zero bytes, the 0 of IBM's floats; another reader of the same file gives 0.0.
# Expected: 0.0.
# Seen on 2026-11-30, Python 3.11, file written by pyreadstat 1.3.7:
#   days late: 0, 30, 0, 5 -> pyreadstat 0.0, 30.0, 0.0, 5.0; pandas 5.397605346934028e-79, 30.0, 5.397605346934028e-79, 5.0
#   overdue (above 0): 2 of 4, and by pandas 4 of 4
# Bureaus and banks exchange such files: each borrower is overdue, no share of zeros is ever found, and a logarithm has no infinity to stop it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pandas==3.1.1 pyreadstat==1.3.7
"$folder/env/bin/python" -W ignore - "$folder/late.xpt" <<'END_OF_PYTHON'
import sys
from pathlib import Path

import pandas as pd
import pyreadstat

path = sys.argv[1]
pyreadstat.write_xport(pd.DataFrame({"days": [0.0, 30.0, 0.0, 5.0]}), path, file_format_version=5)
stored = Path(path).read_bytes()[-80:]  # the only record, filled with spaces
other, found = pyreadstat.read_xport(path)[0]["days"], pd.read_sas(path)["days"]
print(f"stored: {stored[:8].hex()}", f"pyreadstat {other.tolist()}, pandas {found.tolist()}", sep="\n")
print(f"above 0: {(other > 0).sum()} of {len(other)}, by pandas {(found > 0).sum()} of {len(found)}")
expected = [5.397605346934028e-79, 30.0, 5.397605346934028e-79, 5.0]
raise SystemExit(not (stored[:8] == bytes(8) and other.tolist() == [0.0, 30.0, 0.0, 5.0] and found.tolist() == expected))
END_OF_PYTHON
