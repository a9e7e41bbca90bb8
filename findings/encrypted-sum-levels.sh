#!/usr/bin/env bash
# TenSEAL 0.3.18: adding or multiplying two encrypted vectors (CKKS) changes an operand, and a later result of it is wrong, without an error.
# The operand of more levels is brought to those of the other, in place. At fewer levels fewer bits are left for values, which then wrap.
# Expected: the sum of squares of (1000, 2000) is 5000000 before and after another addition, or an error as for a scale out of bounds.
# Seen on 2026-11-30, Python 3.11, with 8192 coefficients, 60, 40, 40 and 60 bits, a scale of 2^40:
#   5000000 before, -242880 after the vector has been added to its square
# What two amounts give depends on what else was calculated of them before. The vector itself still decrypts to 1000 and 2000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check tenseal==0.3.18
"$folder/env/bin/python" -W ignore - <<'END_OF_PYTHON'
import tenseal as ts

context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
context.global_scale = 2**40
context.generate_galois_keys()
amounts = ts.ckks_vector(context, [1000.0, 2000.0])
before = amounts.dot(amounts).decrypt()[0]
total = (amounts * amounts + amounts).decrypt()
after = amounts.dot(amounts).decrypt()[0]
print(f"before {before / 10:.0f}0, after {after / 10:.0f}0; the vector is {[round(value) for value in amounts.decrypt()]}")
sound = abs(before - 5_000_000) < 10 and [round(value, -1) for value in total] == [1_001_000, 4_002_000]
raise SystemExit(not (sound and abs(after - (5_000_000 - 5 * 2**20)) < 10 and round(amounts.decrypt()[1]) == 2000))
END_OF_PYTHON
