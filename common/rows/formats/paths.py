"""The files that a path means: a file, a folder, a pattern or several; Hive's folders; in the order in which people count."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from common.errors import DataError

_JUNK = re.compile(r"[._].*|~\$.*|.*~|Thumbs\.db|desktop\.ini|.*\.(crc|md5|sha1|sha256|tmp|bak)", re.IGNORECASE)
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """A file, and what the names of its folders say of its rows: `month=2024-01`."""

    path: Path
    keys: tuple[tuple[str, str | None], ...] = ()


def parts_of(paths: Sequence[str | Path]) -> list[Part]:
    """All files that the paths mean, each once, in their order; of a folder or pattern, m-2 before m-10."""
    found: dict[Path, Part] = {}
    for path in paths:
        for part in _parts(str(path)):
            found.setdefault(part.path, part)
    return list(found.values())


Stamp = tuple[tuple[str, int, int, int], ...]
"""By this files are known to be others than before: path, when last written, size and inode of each."""


def stamp_of(path: str | Path) -> Stamp:
    """The stamp of all files that the path means now; those that vanish meanwhile are not in it."""
    found = []
    for part in parts_of([path]):
        try:
            status = part.path.stat()
        except OSError:
            continue
        found.append((str(part.path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


@contextmanager
def unchanged(path: str | Path, name: str) -> Iterator[None]:
    """Files that are read more than once stay the same within, as do those of which a column is read after the other.

    Raises DataError, whatever else was raised within, where they are others at the end. name: what messages call them.
    """
    before = stamp_of(path)
    try:
        yield
    except Exception:
        _check_stamp(path, name, before)
        raise
    _check_stamp(path, name, before)


def _check_stamp(path: str | Path, name: str, before: Stamp) -> None:
    if (now := stamp_of(path)) == before:
        return
    other = sorted({of[0] for of in set(now) ^ set(before)}, key=natural)[0]
    raise DataError(
        f"{other}: the file changed while {name} was read",
        public=f"{name}: its files changed while they were read",
        remedy="Write a new file beside it and move it to its place between jobs; then submit again.",
    ) from None


def _parts(path: str) -> Iterator[Part]:
    given = Path(path)
    if given.is_dir():
        yield from _of_folder(given)
    elif given.exists():
        yield Part(given)
    else:
        for match in sorted(glob.glob(path, recursive=True), key=natural):  # noqa: PTH207 (a whole path, absolute or not)
            yield from _of_folder(Path(match)) if Path(match).is_dir() else [Part(Path(match), _keys(Path(match).parts))]


def _of_folder(folder: Path) -> Iterator[Part]:
    """Every file below, but for marks and checksums of Hadoop, and what desktops and editors leave."""
    files = [f for f in folder.rglob("*") if f.is_file()]
    for file in sorted(files, key=lambda f: natural(str(f.relative_to(folder)))):
        inside = file.relative_to(folder).parts
        if not any(_JUNK.fullmatch(name) for name in inside):
            yield Part(file, _keys((folder.name, *inside)))


def _keys(names: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    """What folders' names say; of year=2024/month=1, the key month is 2024-01."""
    pairs = [unquote(name).split("=", 1) for name in names[:-1] if re.match(r"^\w[\w .-]*=.", unquote(name))]
    keys: dict[str, str | None] = {key: None if value == _HIVE_NULL else value for key, value in pairs}
    year = next((value for key, value in keys.items() if key.lower() == "year"), None)
    for key, value in keys.items():
        if key.lower() == "month" and re.fullmatch(r"\d{4}", year or "") and re.fullmatch(r"\d{1,2}", value or ""):
            keys[key] = f"{year}-{value:0>2}"
    return tuple(keys.items())


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by: digits as the numbers that they are."""
    parts = [part for part in re.split(r"(\d+)", name) if part]
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
