#!/usr/bin/env bash
# numpy 2.4.6 with its OpenBLAS: one least-squares problem has other coefficients on another x86 processor, in digits that matter
# where two companies must round the same number. 48 cosines and sines are fitted to 0.01 / (x + 0.01); OPENBLAS_CORETYPE picks
# the kernels that an older processor would get, so one machine shows both.
# Expected: differences of a few units in the last place, as the sum of 97 products would have.
# Seen on 2026-11-28, Python 3.11, x86_64:
#   largest difference 3.7e-11 of coefficients up to 0.67; 530 of 12582912 multiples differ
# That is hundreds of thousands of units in the last place. The multiples are rounded to 2^-22, as a protocol on shares needs them.
# Two parties that each compute "the same" public constant by a library do not have the same constant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6
cat > "$folder/fit.py" <<'END'
import sys

import numpy as np

x = np.linspace(0.0, 1.0, 4001)
waves = np.pi * np.outer(x, np.arange(1, 49))
basis = np.concatenate([np.ones((4001, 1)), np.stack([np.cos(waves), np.sin(waves)], 2).reshape(4001, -1)], 1)
y = 0.01 / (x + 0.01)
weight = 1 / np.sqrt(y)
system = np.vstack([basis * weight[:, None], 1e-4 * np.sqrt(4001) * np.eye(97)])
np.save(sys.argv[1], np.linalg.lstsq(system, np.concatenate([y * weight, np.zeros(97)]), rcond=None)[0])
END
OPENBLAS_CORETYPE=Haswell "$folder/env/bin/python" "$folder/fit.py" "$folder/haswell.npy"
OPENBLAS_CORETYPE=Nehalem "$folder/env/bin/python" "$folder/fit.py" "$folder/nehalem.npy"
"$folder/env/bin/python" - "$folder" <<'END'
import sys

import numpy as np

one, other = (np.load(f"{sys.argv[1]}/{name}.npy") for name in ("haswell", "nehalem"))
turns = 2 * np.pi * np.arange(1 << 18)[:, None] / (1 << 18) * np.arange(1, 49)
cos, sin = np.cos(turns), np.sin(turns)
rounded = [np.rint((c[1::2] * cos + c[2::2] * sin) * 2.0**22) for c in (one, other)]
far = float(np.abs(one - other).max())
print(f"largest difference {far:.1e} of coefficients up to {np.abs(one).max():.2f}; {(rounded[0] != rounded[1]).sum()} of {cos.size} multiples differ")
raise SystemExit(not (far > 1e-14 and (rounded[0] != rounded[1]).any()))
END
