"""What a disk refuses, as an error that names the place and the remedy: full, read-only, not permitted, broken."""

from __future__ import annotations

import errno

from common.errors import DataError

_KINDS = {
    errno.ENOSPC: ("no space is left", "Make room there, or give it another disk."),
    errno.EDQUOT: ("the quota of its disk is used up", "Make room there, or have the quota raised."),
    errno.EFBIG: ("the file would be larger than its disk allows", "Give it another disk."),
    errno.EROFS: ("its disk is read-only", "See to the disk, and to the log of the system."),
    errno.EIO: ("its disk does not work", "See to the disk, and to the log of the system."),
    errno.EACCES: ("it is not permitted", "Check the owner of the folder and its permissions."),
    errno.EPERM: ("it is not permitted", "Check the owner of the folder and its permissions."),
    errno.EBUSY: ("another process holds it for long", "See which one writes there, such as a back-up, and end it."),
    errno.EMFILE: ("too many files are open", "Raise the limit of open files of the process."),
    errno.ENFILE: ("too many files are open", "Raise the limit of open files of the system."),
}


def refused(error: BaseException) -> DataError | None:
    """The error of what the disk refused, its public text without the place; None for another error."""
    if not isinstance(error, OSError) or error.errno not in _KINDS:
        return None
    what, remedy = _KINDS[error.errno]
    where = f" in {error.filename}" if error.filename else ""
    return DataError(f"a file cannot be written or read{where}: {what}", public=f"a file of its own: {what}", remedy=remedy)
