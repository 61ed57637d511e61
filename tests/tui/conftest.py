from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(name="home", autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a test lie in a folder of its own; the working folder is empty."""
    monkeypatch.setenv("CNP_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home" / "runs"
