"""XGBoost's hist on one thread, as a Python of its own runs it: `python xgboost_hist.py INPUT.npz TREES DEPTH RATE BINS`.

INPUT has x and y of the rows that train, and held_x of those held out. Prints one line of JSON: processor seconds of the
training and the margins of the held-out rows. Nothing of this project is imported.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

import numpy as np


def main(data: str, trees: int, depth: int, rate: float, bins: int) -> None:
    xgboost = importlib.import_module("xgboost")
    rows = np.load(data)
    options = {
        "objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "max_depth": depth, "eta": rate, "max_bin": bins,
    }  # fmt: skip
    wall, begin = time.monotonic(), time.process_time()
    model = xgboost.train(options, xgboost.DMatrix(rows["x"], rows["y"], nthread=1), trees)
    seconds = {"processor": time.process_time() - begin, "wall": time.monotonic() - wall}
    u = model.predict(xgboost.DMatrix(rows["held_x"], nthread=1), output_margin=True)
    print(json.dumps({"version": xgboost.__version__, "seconds": seconds, "u": [float(value) for value in u]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
