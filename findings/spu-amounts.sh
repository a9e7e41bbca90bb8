#!/usr/bin/env bash
# SPU 0.9.5: computed on secret shares, ratios, deviations and logarithms of amounts in the hundreds of thousands are 0 or constant.
# A debt of ten millions over an income of 300,000; the deviation of four amounts of thousands; the logarithm of a million; a mean of
# squares. Defaults: ring of 64 bits, 18 of them behind the point, semi2k between two. Expected: about the values in the clear, or an error.
# Seen on 2026-11-29, Python 3.11, by SPU's own simulator:
#   ratio: 0.0 (33.3)    deviation: 0.0 (3112.5)    log: 10.79 (13.82)    mean of squares: -11956925, 77521216 or others (167000000)
# Reciprocals below 2^-18 round to nothing before the ratio is taken; square roots of more than some 10^6 likewise; logarithms stop at
# 2^15.6; a product beyond 2^27 wraps round, which way by chance. Nothing is said. All of it is right with amounts in thousands: what
# enters such a computation has to be scaled before, by its owner.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check spu==0.9.5
cat > "$folder/amounts.py" <<'END'
import jax.numpy as jnp
import numpy as np
from spu import libspu
from spu.utils import simulation

simulator = simulation.Simulator.simple(2, libspu.ProtocolKind.SEMI2K, libspu.FieldType.FM64)


def both(work, *values):
    """On shares, and in the clear."""
    shared, clear = simulation.sim_jax(simulator, work)(*map(np.array, values)), work(*map(np.array, values))
    return float(np.ravel(shared)[0]), float(np.ravel(clear)[0])


seen = {
    "ratio": both(lambda debt, income: debt / income, [1e7], [3e5]),
    "ratio in thousands": both(lambda debt, income: debt / income, [1e4], [3e2]),
    "deviation": both(jnp.std, [1e3, 2e3, 3e3, 9e3]),
    "deviation in thousands": both(jnp.std, [1.0, 2.0, 3.0, 9.0]),
    "log": both(jnp.log, [1e6]),
    "log in thousands": both(jnp.log, [1e3]),
    "mean of squares": both(lambda x: jnp.mean(x * x), [1e3, 1e4, 2e4]),
    "mean of squares in thousands": both(lambda x: jnp.mean(x * x), [1.0, 10.0, 20.0]),
}
for what, (shared, clear) in seen.items():
    print(f"{what}: {shared:.2f} ({clear:.2f})")
right = all(abs(shared / clear - 1) < 0.02 for what, (shared, clear) in seen.items() if "thousands" in what)
of = {what: shared for what, (shared, _) in seen.items()}
wrong = of["ratio"] == of["deviation"] == 0.0 and of["log"] < 11 and of["mean of squares"] < 1e8
raise SystemExit(not (right and wrong))
END
"$folder/env/bin/python" -W ignore "$folder/amounts.py" 2> /dev/null | grep -v thread_pool
