#!/usr/bin/env bash
# SPU 0.9.5, private set intersection over a key of two columns: rows are matched whose columns differ.
# A company and its branch at one party, the same comma at another place at the other; nothing else of the two rows is alike. Commas
# within a name are quoted in the files as CSV asks, and read rightly: the result has the columns whole. Expected: one match, of A and B.
# Seen on 2026-11-29, Python 3.11, for ECDH and RR22:
#   2 matches, ('Li, Wang', 'Trading') of one party beside ('Li', ' Wang,Trading') of the other
# The columns of a key are joined by commas before they are hashed, so where one ends is not part of what is compared. A key that can hold
# commas, as names and addresses do, has to be made one column by each party in a way that keeps its parts apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check spu==0.9.5
printf 'company,branch,debt\n"Li, Wang","Trading",1\nA,B,2\n' > "$folder/0.csv"
printf 'company,branch,bill\n"Li"," Wang,Trading",10\nA,B,20\n' > "$folder/1.csv"
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
    given = psi.InputParams(FILES, f"{folder}/{rank}.csv", ["company", "branch"], keys_unique=True)
    written = psi.OutputParams(FILES, f"{folder}/out{rank}.csv")
    psi.psi_execute(psi.PsiExecuteConfig(how, given, written), libspu.link.create_mem(desc, rank))


def matched(protocol):
    """What either party has written: its two key columns of each matched row."""
    desc = libspu.link.Desc()
    for rank in range(2):
        desc.add_party(f"P{rank}", f"{protocol}{rank}")
    threads = [threading.Thread(target=party, args=(rank, protocol, desc)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [{tuple(row[:2]) for row in list(csv.reader(open(f"out{rank}.csv", newline="")))[1:]} for rank in range(2)]


changed = False
for protocol in ("ECDH", "RR22"):
    first, second = matched(protocol)
    print(protocol, sorted(first), sorted(second))
    changed |= first != {("Li, Wang", "Trading"), ("A", "B")} or second != {("Li", " Wang,Trading"), ("A", "B")}
raise SystemExit(changed)
END
cd "$folder"
"$folder/env/bin/python" match.py 2> "$folder/log" | grep -E '^(ECDH|RR22)'
