"""strip.py FOLDER: cuts symbol tables and section headers off shared libraries, which only linkers and debuggers read.

A loader needs the segments that the program headers name; what lies behind the last of them goes. Unlike binutils' `strip`
this moves nothing, so libraries whose segments were moved before (numpy's, Pillow's) stay loadable, and no package is needed.
Layout: ELF-64, little-endian, System V gABI chapters 4 and 5.
"""

import struct
import sys
from pathlib import Path

ELF64_LITTLE = b"\x7fELF\x02\x01"


def end_of_segments(library: bytes) -> int:
    """The first byte behind all segments and the program headers."""
    (table,) = struct.unpack_from("<Q", library, 32)  # e_phoff
    size, count = struct.unpack_from("<HH", library, 54)  # e_phentsize, e_phnum
    segments = (struct.unpack_from("<Q16xQ", library, table + i * size + 8) for i in range(count))  # p_offset, p_filesz
    return max(table + size * count, *(offset + length for offset, length in segments))


def without_sections(library: bytes) -> bytes:
    """The library up to there, saying that it has no section headers."""
    kept = bytearray(library[: end_of_segments(library)])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HH", kept, 60, 0, 0)  # e_shnum, e_shstrndx
    return bytes(kept)


def main(folder: Path) -> None:
    saved = 0
    for path in folder.rglob("*.so*"):
        if path.is_symlink() or not path.is_file():
            continue
        library = path.read_bytes()
        if library.startswith(ELF64_LITTLE):
            saved += len(library) - path.write_bytes(without_sections(library))
    print(f"symbols: {saved / 1e6:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
