"""Loads and uses what processes of the image will, with warnings as errors: a library that was trimmed too far ends the build.

Python keeps the byte code of what is imported here. That is why nothing else is compiled: most modules are never imported.
"""

import importlib
import io
import pkgutil
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from matplotlib.figure import Figure

PACKAGES = ("common", "grid_party", "bank_party", "wattscore")
ELSEWHERE = {"common.scale.ray_driver"}  # imports Ray, which this image does not have


def every_module() -> None:
    for name in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            if found.name not in ELSEWHERE:
                importlib.import_module(found.name)


def chart() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 10, 100], [0.1, 0.2, 0.3], label="$x^2$")
    axes.set_xscale("log")
    axes.legend()
    for kind in ("svg", "png"):
        figure.savefig(io.BytesIO(), format=kind)


def tables() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"month": ["2025-01"]}), file)
    if pq.read_table(file).num_rows != 1:
        raise SystemExit("Parquet does not come back as written")
    with sa.create_engine("sqlite://").connect() as database:
        database.execute(sa.text("select 1")).one()


warnings.simplefilter("error")
every_module()
chart()
tables()
