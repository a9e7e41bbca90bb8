#!/usr/bin/env bash
# python-stdnum 2.2: unified social credit codes that begin with a letter are refused as malformed.
# The standard (GB 32100-2015) has digits or capital letters in the first two places: Y is "other" registers, and rural collectives have
# codes that begin with N. Both codes below are made up and have right check digits. Expected: valid.
# Seen on 2026-11-29, Python 3.11:
#   91110000600037341L valid
#   Y1110000600037341Y InvalidFormat
#   N21100006000373414 InvalidFormat
# A list of a utility's customers loses all of these when it is filtered by `is_valid`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check python-stdnum==2.2
"$folder/env/bin/python" - <<'END'
from stdnum.cn import uscc
from stdnum.exceptions import InvalidFormat

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def code(body):
    """`body` and the check digit of the standard: weights 3^i modulo 31."""
    return body + ALPHABET[-sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(body)) % 31]


seen = []
for body in ("91110000600037341", "Y1110000600037341", "N2110000600037341"):
    try:
        uscc.validate(code(body))
        seen.append("valid")
    except InvalidFormat:
        seen.append("InvalidFormat")
    print(code(body), seen[-1])
raise SystemExit(seen != ["valid", "InvalidFormat", "InvalidFormat"])
END
