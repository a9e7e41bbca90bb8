"""`wattscore`: a client's commands, and those for whoever sets up, tries or checks. A party has its own commands."""

from __future__ import annotations

from common.process.group import Entry, LazyGroup, entries

main = LazyGroup(
    "wattscore",
    "Joint credit-risk models between a grid company and a bank, neither showing the other a row.",
    entries(
        "common.client.commands",
        train="Submit the training or scoring PLAN (TOML).",
        score="Score rows of two datasets.",
        predeal="Deal ahead what one training of PLAN, or of a finished one's kind, or one scoring job consumes.",
        promote="Make the model of training JOB the champion at both parties.",
        rollback="Make the champion before the present one the champion again.",
    )
    | {
        "backtest": Entry(
            "common.client.backtest:backtest", "Train PLAN as of several months, each measured on the months after."
        ),
        "estimate": Entry(
            "common.client.estimate:estimate_", "Price PLAN (TOML) before it runs: bytes on each line, seconds, scores."
        ),
    }
    | entries(
        "common.client.jobs",
        jobs="List the coordinator's jobs, the newest last.",
        show="Show one JOB: state, cause, results, what was opened to whom.",
        watch="Follow a JOB until it is over, then show it.",
        logs="Print what happened to a JOB, and when.",
        cancel="End a JOB that is queued or running.",
    )
    | entries("common.auditor.cli", audit="Replay the dealing of one job from all parties' OPENINGS.")
    | entries("common.report.verify", verify="Compare a REPORT's page with its JSON and CSV.")
    | entries("common.doctor.cli", doctor="Check this side, and through it the other.")
    | entries("common.records.cli", features="Read, clean and turn into features the monthly records that CONFIG (TOML) names.")
    | entries("common.trust.cli", certs="Make certificates and exchange trust with other organisations.")
    | {
        "schema": Entry(
            "common.records.schema_cli:schema_", "Read all of FILE, and say of each column what it is, in one line."
        ),
        "new": Entry("common.trial.new_cli:new", "Write configurations and a plan into FOLDER, with comments."),
        "check": Entry("common.trial.check_cli:check", "Look at two files before anything starts."),
        "try": Entry("common.trial.try_cli:try_", "Train on your own two files."),
        "demo": Entry("common.trial.demo_cli:demo", "A SYNTHETIC world made into features, a joint model and decisions."),
        "demo-banks": Entry("common.trial.demo_banks:demo_banks", "A SYNTHETIC world of one grid and three banks."),
        "collect-demo": Entry("common.trial.demo_cli:collect_demo", "At the bank: what the demo has left there, into OUT."),
        "demo-console": Entry("common.trial.demo_console:demo_console", "Start the three processes of a demo that has ended."),
        "budget": Entry("common.trial.own:budget", "Show what is spent and left of a party's budgets."),
        "setup-demo": Entry("common.trial.demo_setup:setup_demo", "Fill the volumes in FOLDER for the demo in containers."),
    }
    | entries("common.client.moved", models=None, monitor=None, report=None, pipeline=None),
    {
        "Try": (
            "check try demo demo-console demo-banks",
            "wattscore check grid.csv bank.csv --key enterprise_id --label overdue",
        ),
        "Data": ("schema features", "wattscore features records.toml"),
        "Train": ("estimate train backtest predeal", "wattscore train plan.toml --watch"),
        "Jobs": ("jobs watch logs show cancel", "wattscore jobs --kind train --since 30d"),
        "Use": (
            "score promote rollback",
            "wattscore score --model champion --grid-dataset meters --bank-dataset loans --watch",
        ),
        "Set up": ("new certs doctor", "wattscore new wattscore-try --bank-org acme-bank --label overdue"),
    },
)

if __name__ == "__main__":
    main()
