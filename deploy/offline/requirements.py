"""Prints a requirement with its hash for each wheel in FOLDER: `python -m deploy.offline.requirements FOLDER`, or by its path.

With `pip install --no-index --require-hashes` nothing but these files, byte for byte, can be installed.
"""

import hashlib
import sys
from pathlib import Path


def requirements(folder: Path) -> list[str]:
    """NAME==VERSION with SHA-256, sorted. Raises SystemExit for a folder without wheels, or with more: an sdist runs code."""
    files = sorted(file for file in folder.iterdir() if file.suffix != ".txt")
    others = [file.name for file in files if file.suffix != ".whl"]
    if others or not files:
        raise SystemExit(f"{folder}: {', '.join(others) or 'it is empty'}: only wheels belong here")
    lines = []
    for file in files:
        name, version, *_ = file.name.split("-")
        lines.append(
            f"{name.replace('_', '-').lower()}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]))))
