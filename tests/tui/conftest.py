from __future__ import annotations

from pathlib import Path

import pytest

from cnp_tui import app

CLEARED = ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION", "TMUX", "LC_ALL", "LC_CTYPE")
"""What would change how a screen looks, or what copying does."""


PATIENCE = 100
"""As many times longer stays what is told over a screen: a busy machine may look late."""


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


@pytest.fixture(autouse=True)
def patient_words(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = {severity: PATIENCE * stays for severity, stays in app.STAYS_S.items()}
    monkeypatch.setattr(app, "STAYS_S", longer)
