"""Every test here decodes into a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("CNP_CACHE", str(folder))
    return folder
