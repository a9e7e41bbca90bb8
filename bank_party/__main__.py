"""`bank-party`: serve, doctor, budget, allow, models, monitor, report, verify, export."""

from __future__ import annotations

from common.daemon.entries import party_group

main = party_group(
    "bank-party",
    "The bank's side: labels, scores and decisions are here.",
    "bank_party.commands",
    export="Write the scorecard of a training JOB as JSON, CSV, SQL and PMML.",
)

if __name__ == "__main__":
    main()
