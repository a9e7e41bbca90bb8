"""`bank-party`: what both parties have, and score, promote, rollback, pipeline, refill, shadow, export."""

from __future__ import annotations

from common.daemon.entries import party_group

main = party_group(
    "bank-party",
    "The bank's side: labels, scores and decisions are here.",
    "bank_party.commands",
    score="Score rows with a stock dealt ahead, with no coordinator: the grid's daemon is asked directly.",
    predeal="Make a stock for a training of PLAN, with nobody who deals and no coordinator: the grid is asked directly.",
    promote="Make the model of JOB, a training of banks alone, this bank's champion, unless it is worse than the one before.",
    rollback="Make the champion before the present one the champion again, of models of banks alone.",
    pipeline="Go on with the run of PIPELINE (TOML) that is open, or begin one where it is time.",
    refill="Deal stocks for scores on request until as many wait as [online.refill] says.",
    shadow="Compare the challenger of [online.shadow] with the champion, over the rows that both have scored.",
    export="Write the scorecard of a training JOB as JSON, CSV, SQL and PMML.",
)

if __name__ == "__main__":
    main()
