"""Text of others as a log or terminal may show it: nothing in it moves a cursor, colours, or turns around what follows."""

from __future__ import annotations

import re
from typing import Any

# Control characters, line and paragraph separators, and what Unicode has to change the direction of writing.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # spreadsheets read the wide ones alike


def visible(text: str) -> str:
    r"""`text` with each such character written out, as `\u001b`: in JSON that is the same text."""
    return text if text.isascii() and text.isprintable() else _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def inert(cell: str) -> str:
    """A cell of a CSV file that a spreadsheet would take for a formula, as text: with an apostrophe before it. Numbers stay."""
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
    return cell


def lines(text: str) -> str:
    """`text` with each of its lines made visible."""
    return "\n".join(map(visible, text.split("\n")))


def counted(count: int, name: str, plural: str = "") -> str:
    """`1 month`, `2,300 months`; plural: where an s does not make it."""
    return f"{count:,} {name if count == 1 else plural or name + 's'}"


def escape(text: str) -> str:
    """The same, with nothing that rich takes for markup."""
    from rich.markup import escape as plain  # commands have loaded it; daemons, whose logs need the above, never do

    return plain(visible(text))


def tidy(message: Any) -> Any:
    """A protobuf message of another process, with the lines of every text in it made visible; the message itself."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                tidy(inner)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            if (texts := [lines(text) for text in value]) != list(value):
                del value[:]
                value.extend(texts)
        elif field.type == field.TYPE_STRING and (text := lines(value)) != value:
            setattr(message, field.name, text)
    return message
