#!/usr/bin/env bash
# pandera 0.35.0 with pandas 2.3.3: a table whose labels are wrong is valid once `coerce` is asked for, and comes back with others:
# of a column declared bool the texts 0, false and no are True, and so is what is missing, though nothing may be missing there; of
# one declared int, of 0 and 1 alone, 0.9 is 0. Both are done before anything is checked. Without coerce each is refused.
# Expected: a SchemaError for each, as for the text x where a whole number is declared.
# Seen on 2026-11-30, Python 3.11:
#   bool, coerced: 1, 0, false, no -> True, True, True, True; 1.0, 0.0, missing -> True, False, True
#   int of 0 and 1, coerced: 0.9, 1.0, 0.2 -> 0, 1, 0; the text x: refused
#   without coerce: refused, refused, refused
# A schema is what stands between an export and a training: every borrower is overdue, and one not known yet is overdue too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check pandera==0.35.0 pandas==2.3.3
"$folder/env/bin/python" -W ignore - <<'END'
import pandas as pd
import pandera.pandas as pa


def made(kind, values, coerce=True, *checks):
    schema = pa.DataFrameSchema({"overdue": pa.Column(kind, *checks, nullable=False, coerce=coerce)})
    try:
        return schema.validate(pd.DataFrame({"overdue": values}))["overdue"].tolist()
    except (pa.errors.SchemaError, pa.errors.SchemaErrors):
        return "refused"


ours = pa.Check.isin([0, 1])
texts, gaps, shares = ["1", "0", "false", "no"], [1.0, 0.0, None], [0.9, 1.0, 0.2]
found = [made(bool, texts), made(bool, gaps), made(int, shares, True, ours), made(int, ["x"])]
strict = [made(bool, texts, False), made(bool, gaps, False), made(int, shares, False, ours)]
said = [values if isinstance(values, str) else ", ".join(map(str, values)) for values in found]
print(f"bool, coerced: 1, 0, false, no -> {said[0]}; 1.0, 0.0, missing -> {said[1]}")
print(f"int of 0 and 1, coerced: 0.9, 1.0, 0.2 -> {said[2]}; the text x: {said[3]}")
print("without coerce:", ", ".join(map(str, strict)))
raise SystemExit(not (found == [[True] * 4, [True, False, True], [0, 1, 0], "refused"] and strict == ["refused"] * 3))
END
