"""The helper's script with a stand-in for `spu`: the lines it speaks, what it asks for, and that it ends with its daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.match.process import SCRIPT

_STUB = """
import json, pathlib, runpy, sys, time, types
class Any:
    def __init__(self, *values, **named):
        self.__dict__.update(named, values=values, parties=[])
    def add_party(self, name, address):
        self.parties.append([name, address])
def psi_execute(config, context):
    protocol, read, write = config.values
    if {block!r}:
        time.sleep(600)
    print("Trace has been written to " + {trace!r} + ".")
    facts = dict(parties=context.parties, rank=context.rank, bucket=protocol.bucket_size, broadcast=protocol.broadcast_result)
    pathlib.Path("facts").write_text(json.dumps(facts | dict(read=read.values[1], write=write.values[1])))
    return types.SimpleNamespace(intersection_count=7)
def create_brpc(desc, rank):
    desc.rank = rank
    return desc
psi = types.ModuleType("spu.psi")
psi.__dict__.update(PsiExecuteConfig=Any, PsiProtocolConfig=Any, InputParams=Any, OutputParams=Any, psi_execute=psi_execute,
    SourceType=types.SimpleNamespace(SOURCE_TYPE_FILE_CSV=1), PsiProtocol=types.SimpleNamespace(PROTOCOL_RR22=3))
link = types.ModuleType("spu.libspu.link")
link.Desc, link.create_brpc = Any, create_brpc
libspu = types.ModuleType("spu.libspu")
libspu.link = link
spu = types.ModuleType("spu")
spu.psi, spu.libspu, spu.__version__ = psi, libspu, "9.9"
sys.modules |= {{"spu": spu, "spu.psi": psi, "spu.libspu": libspu, "spu.libspu.link": link}}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(folder: Path, *, block: bool = False, trace: str = "") -> subprocess.Popen[bytes]:
    stub = _STUB.format(block=block, trace=trace)
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", stub, str(SCRIPT), str(folder), "1", "301", "60"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "f").mkdir()
    return tmp_path / "f"


def pipes(process: subprocess.Popen[bytes]) -> SimpleNamespace:
    assert process.stdin is not None and process.stdout is not None
    return SimpleNamespace(to=process.stdin, said=process.stdout)


def test_it_speaks_its_lines_and_asks_for_one_bucket_without_a_port(folder: Path) -> None:
    trace = Path(f"/tmp/psi_test-{folder.parent.name}.trace")
    trace.write_text("timings")
    with start(folder, trace=str(trace)) as process:
        at = pipes(process)
        assert json.loads(at.said.readline()) == {"ready": "spu 9.9"}
        at.to.write(b"go\n")
        at.to.flush()
        assert json.loads(at.said.readline()) == {"linked": True}
        assert not (folder / "facts").exists()
        at.to.write(b"go\n")
        at.to.flush()
        assert json.loads(at.said.readline()) == {"done": 7}
        facts = json.loads((folder / "facts").read_text())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()
    assert facts == {
        "parties": [["grid", f"unix:{folder}/peer.sock"], ["bank", f"unix:{folder}/own.sock"]],
        "rank": 1,
        "bucket": 301,
        "broadcast": True,
        "read": str(folder / "ids.csv"),
        "write": str(folder / "common.csv"),
    }
    assert not trace.exists()


@pytest.mark.parametrize("started", [False, True])
def test_it_ends_when_its_daemon_is_gone_and_leaves_no_file(folder: Path, started: bool) -> None:
    with start(folder, block=True) as process:
        at = pipes(process)
        at.said.readline()
        if started:
            at.to.write(b"go\ngo\n")
            at.to.flush()
            at.said.readline()
        at.to.close()
        assert process.wait(10) == 3
    assert not folder.exists()
