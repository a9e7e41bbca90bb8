"""A database's names of the columns that a configuration asks for."""

from __future__ import annotations

from common.rows.near import there_are
from common.rows.origin import Origin


def named(columns: list[str], there: list[str], origin: Origin) -> list[str]:
    """The database's names of these columns: some write in lower case what others write in upper case."""
    lower: dict[str, list[str]] = {}
    for name in there:
        lower.setdefault(name.lower(), []).append(name)
    found = {c: [c] if c in there else lower.get(c.lower(), []) for c in columns}
    if missing := [c for c in columns if not found[c]]:
        what = f"no column {', '.join(map(repr, missing))}"
        raise origin.fault(what, local=what + there_are(missing, there, "the table"), remedy="Check the declared names.")
    if unsure := [c for c in columns if len(found[c]) > 1]:
        what = f"column {unsure[0]!r} may be {' or '.join(map(repr, found[unsure[0]]))}"
        raise origin.fault(what, remedy="Write it as the database does.")
    return [found[c][0] for c in columns]
