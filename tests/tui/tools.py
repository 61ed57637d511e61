"""The command line called in this process, as a shell would see it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cnp_tui import cli


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def call(capfd: pytest.CaptureFixture[str], *words: str) -> Said:
    """Run ``cnp WORDS`` to its exit."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    captured = capfd.readouterr()
    assert isinstance(end.value.code, int)
    return Said(end.value.code, captured.out, captured.err)
