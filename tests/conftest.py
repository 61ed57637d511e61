"""In which order files are shared out among processes: those that take longest begin first."""

from __future__ import annotations

import pytest

LONGEST = ("test_shared", "test_demo", "test_bench", "test_healing", "test_resume", "test_job")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.path.stem))


def _place(stem: str) -> int:
    return LONGEST.index(stem) if stem in LONGEST else len(LONGEST)
