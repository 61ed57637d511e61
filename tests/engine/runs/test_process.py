"""What a worker's process is given beside the environment of whoever starts it."""

from __future__ import annotations

import os

import pytest

from cnp_engine import process

SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GOMP_SPINCOUNT")


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_user_has_set_wins(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for setting in (*SETTINGS, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(setting, raising=False)
    assert int(process.environment()[name]) > 0
    monkeypatch.setenv(name, "7")
    assert process.environment()[name] == "7"
    assert os.environ[name] == "7"


def test_how_threads_wait_is_left_to_whoever_has_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in process.environment()
