#!/usr/bin/env bash
# SPU 0.9.5, private set intersection: rows without a key are matched with the other party's rows without a key.
# Each party has a customer whose registration number is missing from the file (an empty field), and one with a number that both have.
# Expected, as of a join in SQL, where a missing key equals nothing: one match; or a refusal of the row without a key.
# Seen on 2026-11-29, Python 3.11, for ECDH and RR22:
#   2 matches, one of them debt 1 beside bill 10, of two customers who have nothing in common
# The empty field is hashed as any other text; with several such rows each is matched with each. Rows without a key have to be taken out
# by either party before it matches.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check spu==0.9.5
printf 'number,debt\n,1\n91110000A,2\n' > "$folder/0.csv"
printf 'number,bill\n,10\n91110000A,20\n91110000B,30\n' > "$folder/1.csv"
cat > "$folder/match.py" <<'END'
import csv
import pathlib
import threading

from spu import libspu, psi

FILES = psi.SourceType.SOURCE_TYPE_FILE_CSV
folder = pathlib.Path.cwd()  # a bare name of a file is not written to


def party(rank, protocol, desc):
    how = psi.PsiProtocolConfig(
        getattr(psi.PsiProtocol, f"PROTOCOL_{protocol}"), receiver_rank=0, bucket_size=1000, broadcast_result=True,
        ecdh_params=psi.EcdhParams(psi.EllipticCurveType.CURVE_25519),
    )
    given = psi.InputParams(FILES, f"{folder}/{rank}.csv", ["number"])
    written = psi.OutputParams(FILES, f"{folder}/out{rank}.csv")
    psi.psi_execute(psi.PsiExecuteConfig(how, given, written), libspu.link.create_mem(desc, rank))


def matched(protocol):
    """What either party has written: the rows, in the common order."""
    desc = libspu.link.Desc()
    for rank in range(2):
        desc.add_party(f"P{rank}", f"{protocol}{rank}")
    threads = [threading.Thread(target=party, args=(rank, protocol, desc)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [list(csv.reader(open(f"out{rank}.csv", newline="")))[1:] for rank in range(2)]


changed = False
for protocol in ("ECDH", "RR22"):
    first, second = matched(protocol)
    print(protocol, first, second)
    changed |= first != [["", "1"], ["91110000A", "2"]] or second != [["", "10"], ["91110000A", "20"]]
raise SystemExit(changed)
END
cd "$folder"
"$folder/env/bin/python" match.py 2> "$folder/log" | grep -E '^(ECDH|RR22)'
