"""Options that several commands on own files share, and the exit code of --strict."""

from __future__ import annotations

from collections.abc import Sequence

import click

STRICT = 3
"""The exit code of a command with --strict that found what is to be looked at."""

strict_option = click.option(
    "--strict", is_flag=True, help="Exit code 3 if a column is the label in all but name, or known only after it."
)
period_option = click.option("--period", help="The column of months in both, if rows are (enterprise, month).")
grid_period_option = click.option("--grid-period", help="The grid's, where it has another name.")
bank_period_option = click.option("--bank-period", help="The bank's.")
grid_key_option = click.option("--grid-key", help="The grid's, where it has another name.")
bank_key_option = click.option("--bank-key", help="The bank's.")
label_values_option = click.option("--label-values", help="What its words mean: 是=1,否=0.")
missing_option = click.option(
    "--missing", multiple=True, help="Further words that mean missing, in either file: --missing=-,N/A; may be given again."
)
decimal_option = click.option(
    "--decimal", type=click.Choice([".", ","]), help="What stands before decimals in columns that do not tell, such as 12,345."
)


def parse_missing(texts: str | Sequence[str] | None) -> list[str]:
    """`-,N/A`, or several such, as a list of words that mean missing."""
    given = [texts] if isinstance(texts, str) else texts or ()
    return [word.strip() for text in given for word in text.split(",") if word.strip()]
