#!/usr/bin/env bash
# NVIDIA FLARE 2.9.0: the standard deviation of all parties' rates together is 0, as a variance is rounded to four decimals before its root.
# Two banks, interest rates of about 4.5 % that differ by half a point. Expected: 0.005, as of either bank alone.
# Seen on 2026-12-01, Python 3.11:
#   deviation of each bank: 0.0050, 0.0050   of both: 0.0   pandas, of both: 0.0050
# Four decimals are what its statistics jobs have unless a controller of one's own says otherwise. Who standardises by such a deviation
# divides by 0, or leaves the column out as constant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check nvflare==2.9.0 pandas==3.1.1 numpy==2.4.6
cd "$folder"
env/bin/python - <<'END'
import numpy as np
import pandas as pd
from nvflare.app_common.statistics.numeric_stats import get_global_stats
from nvflare.app_opt.statistics.df.df_core_statistics import DFStatisticsCore


class Bank(DFStatisticsCore):
    def __init__(self, rates):
        super().__init__()
        self.data = {"loans": pd.DataFrame({"rate": rates})}

    def initialize(self, fl_ctx):
        pass


rng = np.random.default_rng(0)
banks = {name: Bank(rng.normal(0.045, 0.005, 2000)) for name in ("A", "B")}


def of_each(measure):
    return {name: {"loans": {"rate": measure(bank)}} for name, bank in banks.items()}


counts = of_each(lambda bank: bank.count("loans", "rate"))
sums = of_each(lambda bank: bank.sum("loans", "rate"))
total = get_global_stats({}, {"count": counts, "sum": sums, "mean": sums}, "fed_stats_1st_statistics", {})
mean, count = (total[name]["loans"]["rate"] for name in ("mean", "count"))
parts = of_each(lambda bank: bank.variance_with_mean("loans", "rate", mean, count))
own = of_each(lambda bank: bank.stddev("loans", "rate"))
total = get_global_stats(total, {"var": parts, "stddev": own}, "fed_stats_2nd_statistics", {})
found = total["stddev"]["loans"]["rate"]
known = pd.concat([bank.data["loans"] for bank in banks.values()])["rate"].std()
each = ", ".join(f"{own[name]['loans']['rate']:.4f}" for name in banks)
print(f"deviation of each bank: {each}   of both: {found}   pandas, of both: {known:.4f}")
raise SystemExit(not (found == 0.0 and known > 0.0045))
END
