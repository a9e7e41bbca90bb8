"""Shared libraries without symbol tables still load and work; they are smaller; what is no library is left alone."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import grpc
import numpy as np
import pyarrow as pa
import pytest

from tests.source import ROOT

LIBRARIES = Path(pa.__file__).parent, Path(np.__file__).parents[1] / "numpy.libs"


def load_strip() -> ModuleType:
    spec = importlib.util.spec_from_file_location("strip", ROOT / "deploy" / "image" / "strip.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def strip() -> ModuleType:
    return load_strip()


def small(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.so*")) if path.stat().st_size < 5_000_000 and not path.is_symlink()][:5]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no ELF here")
def test_a_library_is_cut_once_and_keeps_every_segment(strip: ModuleType, tmp_path: Path) -> None:
    originals = [path for folder in (*LIBRARIES, Path(grpc.__file__).parent) if folder.is_dir() for path in small(folder)]
    for path in originals:
        shutil.copy(path, tmp_path / path.name)
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    strip.main(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < before
    for path in originals:
        cut, whole = (tmp_path / path.name).read_bytes(), path.read_bytes()
        assert cut[64:] == whole[64 : len(cut)]  # all but the ELF header is as it was
        assert strip.end_of_segments(whole) == len(cut) and strip.without_sections(cut) == cut


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no ELF here")
def test_a_cut_library_works(strip: ModuleType, tmp_path: Path) -> None:
    """The extension that pynacl is made of, in a process of its own: it signs, and the signature is the whole one's."""
    import nacl

    package = tmp_path / "nacl"
    shutil.copytree(Path(nacl.__file__).parent, package)
    strip.main(package)
    act = "import nacl, nacl.bindings as b; print(nacl.__file__, b.crypto_sign_seed_keypair(bytes(32))[0].hex())"
    found = [
        subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {paths}; {act}"], capture_output=True, text=True)
        for paths in ([str(tmp_path)], [])
    ]
    assert [done.stderr for done in found] == ["", ""]
    (cut, key), (_, expected) = (done.stdout.split() for done in found)
    assert Path(cut).is_relative_to(tmp_path) and key == expected


def test_what_is_no_library_stays(strip: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "libc.so"  # linker scripts are called that
    script.write_text("GROUP ( libc.so.6 )")
    strip.main(tmp_path)
    assert script.read_text() == "GROUP ( libc.so.6 )"
