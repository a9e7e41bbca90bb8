"""The example notebook runs from top to bottom in a kernel of its own, where a loop runs already."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.patience import patience
from tests.source import ROOT


def test_the_notebook_runs_and_shows_what_was_trained(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "notebook" / "first.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "first.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook, timeout=patience(300), kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = "\n".join(str(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert (tmp_path / "report.html").exists() and (tmp_path / "report.json").exists()
    gained = re.search(r"AUC gained</td><td>\+0\.(\d+)", shown)
    assert gained and int(gained[1]) > 0
    assert "image/png" in shown and "Gain over the bank alone" in shown and "approve" in shown
    assert "no option 'ridges'" in shown and "Nearest: ridge" in shown
