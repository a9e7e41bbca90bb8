"""Who runs a command: by the system's account, whatever the environment says."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from common.process.person import person

OWN = pwd.getpwuid(os.getuid()).pw_name


def test_who_logged_in_counts_and_not_who_they_have_become(tmp_path: Path) -> None:
    login = tmp_path / "loginuid"
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.getuid())
    login.write_text(str(other.pw_uid))
    assert pwd.getpwnam(person(login)).pw_uid == other.pw_uid
    login.write_text("3999999999")
    assert person(login) == "uid 3999999999"


@pytest.mark.parametrize("written", ["4294967295", "", "x"])
def test_without_a_login_it_is_the_account_of_the_process_and_no_variable_changes_it(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody")
    login = tmp_path / "loginuid"
    login.write_text(written)
    assert person(login) == person(tmp_path / "none") == OWN
