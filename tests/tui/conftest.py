from __future__ import annotations

from pathlib import Path

import pytest

CLEARED = ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION", "TMUX", "LC_ALL", "LC_CTYPE")
"""What would change how a screen looks, or what copying does."""


@pytest.fixture(name="home", autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a test lie in a folder of its own; the working folder is empty."""
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("CNP_HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home" / "runs"
