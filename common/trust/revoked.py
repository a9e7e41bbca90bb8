"""Certificates that are refused although their CA is trusted: `revoked.txt` in a trust folder, one a line.

A line is a certificate's SHA-256 fingerprint (`AB:CD:...`, colons optional) or `ORG SERIAL` (hexadecimal), the rest after `#`
a note. The file is read anew at each use. What a running process does with one that cannot be read is in `lastgood`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from common.disk.files import write_private
from common.errors import ConfigError

FILE = "revoked.txt"
_FINGERPRINT = re.compile(r"(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")
_PUBLIC = "the list of revoked certificates cannot be read"
_SERIAL = re.compile(r"([a-z0-9-]+)\s+([0-9A-Fa-f:]{1,60})")


@dataclass(frozen=True)
class Revoked:
    """SHA-256 fingerprints, and (organisation, serial number)."""

    fingerprints: frozenset[bytes] = frozenset()
    serials: frozenset[tuple[str, int]] = frozenset()

    def holds(self, certificate: x509.Certificate, org: str) -> bool:
        """Whether `certificate`, issued by the CA of `org`, is listed."""
        return certificate.fingerprint(SHA256()) in self.fingerprints or (org, certificate.serial_number) in self.serials


def read_revoked(folder: Path, before: Revoked | None = None) -> Revoked:
    """The list in the trust folder; empty if there is no file. Raises ConfigError naming the line that is none.

    before: what the same process has read earlier. A file that had entries and is gone is one that cannot be read.
    """
    file = folder / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if before is not None and before != Revoked():
            text = f"{file}: it had entries and is gone"
            raise ConfigError(text, remedy="Put it back; to refuse nobody, empty it.", public=_PUBLIC) from None
        return Revoked()
    except (OSError, UnicodeDecodeError) as error:
        text = f"{file}: cannot be read ({error})"
        raise ConfigError(text, remedy="Mend it: without it nobody is trusted.", public=_PUBLIC) from None
    fingerprints, serials = set[bytes](), set[tuple[str, int]]()
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.split("#")[0].strip()
        if _FINGERPRINT.fullmatch(entry):
            fingerprints.add(bytes.fromhex(entry.replace(":", "")))
        elif found := _SERIAL.fullmatch(entry):
            serials.add((found[1], int(found[2].replace(":", ""), 16)))
        elif entry:
            raise _malformed(f"{file}, line {number}")
    return Revoked(frozenset(fingerprints), frozenset(serials))


def revoke(folder: Path, entry: str, note: str = "") -> Path:
    """Adds a fingerprint, or `ORG SERIAL`, to the list in the trust folder; readers see the old list or the new one.

    Raises ConfigError for what is neither, and for a list that cannot be read or written.
    """
    if not (_FINGERPRINT.fullmatch(entry) or _SERIAL.fullmatch(entry)):
        raise _malformed(entry[:100])
    read_revoked(folder)
    file = folder / FILE
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        text = before + ("\n" if before and not before.endswith("\n") else "") + _line(entry, note)
        write_private(file, text.encode(), mode=0o644)  # for the daemons' users too: certificates are no secret
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror})") from None
    return file


def _line(entry: str, note: str) -> str:
    words = " ".join(note.split())
    return f"{entry}  # {words}\n" if words else f"{entry}\n"


def _malformed(what: str) -> ConfigError:
    return ConfigError(
        f"{what}: neither a fingerprint nor ORG SERIAL",
        remedy="Write a certificate's SHA-256 fingerprint, as `wattscore certs show` prints it; notes after #.",
        public=_PUBLIC,
    )
