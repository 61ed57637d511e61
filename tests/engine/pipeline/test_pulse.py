"""The memory in use, told beside whatever else is said."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from cnp_engine import pipeline, runtime
from cnp_engine.events import Event, Finished, Progress, Resources, StageFinished, StageStarted
from tests.engine.algorithms.drive import finish

SAID = (Progress("load", 1, 2), StageFinished("load", 2.0), StageFinished("target", 9.0, True))


def events() -> Generator[Event, None, str]:
    yield from SAID
    yield Finished({})
    return "result"


@pytest.mark.parametrize(("every_s", "told"), [(0.0, True), (1e6, False)])
def test_it_comes_between_events_but_never_by_the_last_word(
    monkeypatch: pytest.MonkeyPatch, every_s: float, told: bool
) -> None:
    monkeypatch.setattr(pipeline, "PULSE_S", every_s)
    seconds: dict[str, float] = {"sweep": 1.0}
    device = torch.device("cpu")
    result, said = finish(pipeline._accompanied(events(), device, seconds))
    assert result == "result"
    others = [event for event in said if not isinstance(event, Resources)]
    assert [type(event) for event in others] == [Progress, StageFinished, StageFinished, Finished]
    pulses = [index for index, event in enumerate(said) if isinstance(event, Resources)]
    assert pulses == ([0, 2, 4] if told else [])
    assert seconds.pop("load") == pytest.approx(2.0, abs=0.1)
    assert seconds == {"sweep": 1.0}, "a restored stage keeps its own time"


def test_a_pause_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes an event may keep the stage waiting, before it or within it."""
    now = [0.0]

    def worked() -> Generator[Event, None, None]:
        yield StageStarted("load")
        now[0] += 2.0
        yield Progress("load", 1, 2)
        now[0] += 3.0
        yield StageFinished("load", 5.0 + 40.0)
        yield StageStarted("target")
        yield StageFinished("target", 10.0)

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    seconds: dict[str, float] = {}
    for event in pipeline._accompanied(worked(), torch.device("cpu"), seconds):
        if isinstance(event, Progress):
            now[0] += 40.0
        if isinstance(event, StageStarted) and event.stage == "target":
            now[0] += 10.0
    assert seconds == {"load": 5.0, "target": 0.0}


def test_resident_memory_is_of_this_process_now() -> None:
    """Pages of its own: an allocator may hand out what an earlier test gave back."""
    gc.collect()
    with mmap.mmap(-1, 256 << 20) as held:
        before = runtime.resources(torch.device("cpu"))
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        after = runtime.resources(torch.device("cpu"))
        assert after.resident_bytes - before.resident_bytes > len(held) // 2
    assert (after.device_bytes, after.device_total_bytes) == (None, None)


def test_caches_take_a_share_of_what_is_free() -> None:
    free = runtime.available_bytes()
    limit = runtime.cache_bytes(torch.device("cpu"))
    assert 0 < limit <= 1 << 30
    assert free is None or limit <= free


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="elsewhere the system starts at its own"
)
def test_the_peak_is_of_this_process_not_of_who_started_it() -> None:
    code = (
        "import torch\nfrom cnp_engine import runtime\n"
        "print(runtime.peak_memory_bytes(torch.device('cpu')))"
    )
    with mmap.mmap(-1, 1536 << 20) as held:
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        assert 0 < int(said) < len(held) <= runtime.peak_memory_bytes(torch.device("cpu"))
