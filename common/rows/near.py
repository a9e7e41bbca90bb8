"""The names that somebody may have meant who wrote one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_MOST, _LISTED = 3, 12


def near(wanted: Iterable[str], there: Sequence[str]) -> list[str]:
    """At most three for each: those spelled alike, then those that it is a part of, such as `overdue` of `overdue_next`."""
    found: dict[str, None] = {}
    for name in wanted:
        longer = [other for other in there if len(name) > 2 and name.lower() in other.lower()]
        alike = difflib.get_close_matches(name, there, n=_MOST)
        found |= dict.fromkeys(list(dict.fromkeys([*alike, *longer]))[:_MOST])
    return list(found)


def there_are(wanted: Iterable[str], there: Sequence[str], place: str) -> str:
    """What the owner of the columns is told after `no column 'kwh'`: those close to it, else the first of all there are."""
    if close := near(wanted, there):
        return f"; close names in {place}: {', '.join(map(repr, close))}"
    more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
    return f"; {place} has {', '.join(map(repr, there[:_LISTED]))}{more}" if there else ""
