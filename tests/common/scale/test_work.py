from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from common.scale.work import do, kind, look

PLANTED = b"planted-7315"


def given(folder: Path, data: bytes) -> tuple[str, str, str]:
    (folder / "given").write_bytes(data)
    return str(folder / "given"), hashlib.sha256(data).hexdigest(), str(folder / "made")


def test_what_fails_is_told_in_the_file_and_not_in_the_answer(tmp_path: Path) -> None:
    """The text of numpy's error quotes what it was given: neither file nor answer repeats it."""
    answer = do("common.records.parts:columns_of", *given(tmp_path, PLANTED))
    assert json.loads(answer)["fault"] and PLANTED.decode() not in answer
    made = (tmp_path / "made").read_bytes()
    assert json.loads(made)["kind"] == "" and PLANTED not in made
    assert json.loads(answer)["digest"] == hashlib.sha256(made).hexdigest()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


def test_a_file_that_is_another_is_not_worked_on(tmp_path: Path) -> None:
    path, _, made = given(tmp_path, PLANTED)
    assert json.loads(do("common.records.parts:columns_of", path, hashlib.sha256(b"other").hexdigest(), made))["fault"]
    assert b"ValueError" in (tmp_path / "made").read_bytes()


@pytest.mark.parametrize("work", ["os:remove", "commonplace:run", "common.records.parts:none"])
def test_work_that_is_not_ours_is_not_done(work: str, tmp_path: Path) -> None:
    assert json.loads(do(work, *given(tmp_path, PLANTED)))["fault"]
    assert (tmp_path / "given").exists()


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        do("common.records.parts:columns_of", *given(tmp_path, PLANTED))
    assert (tmp_path / "made").read_bytes() == b"kept"


def test_a_node_sees_whether_others_can_look_into_its_folder(tmp_path: Path) -> None:
    run, session = tmp_path / "run", tmp_path / "ray" / "session"
    run.mkdir(mode=0o700)
    (run / "seen").touch()
    session.mkdir(parents=True)
    (tmp_path / "ray").chmod(0o777)
    session.chmod(0o777)
    tmp_path.chmod(0o755)
    top = [one for one in tmp_path.parents if not one.stat().st_mode & 0o077]
    assert json.loads(look(str(session), str(run), "seen"))["open"] is (not top)
    tmp_path.chmod(0o700)
    found = json.loads(look(str(session), str(run), "seen"))
    assert not found["open"] and found["scratch"] and found["kind"] == kind()
    assert not json.loads(look(str(session), str(tmp_path / "elsewhere"), "seen"))["scratch"]
