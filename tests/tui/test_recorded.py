"""The recorded runs are what their names say: screens are judged by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnp_engine import launch
from cnp_engine.rundir import RunDirectory
from cnp_tui.link import Link
from tests.tui.recorded import NAMES, STATES, folder, log, recorded, state

LARGEST_BYTES = 150_000


@pytest.mark.parametrize("name", NAMES)
def test_recording_is_gapless_small_and_of_no_machine(name: str) -> None:
    assert [record.seq for record in log(name)] == list(range(len(log(name))))
    text = (Path(__file__).parents[1] / "fixtures" / "runs" / f"{name}.jsonl").read_text("utf-8")
    assert len(text) < LARGEST_BYTES
    assert not any(place in text for place in ("/work", "/tmp", "/home", "/root"))


@pytest.mark.parametrize(
    ("name", "status", "stage"),
    [
        ("created", "created", None),
        ("before", "running", "load"),
        ("target", "running", "target"),
        ("trigger", "running", "trigger"),
        ("masks", "running", "scores"),
        ("sweep", "running", "sweep"),
        ("warning", "running", "scores"),
        ("paused", "running", "scores"),
        ("failed", "failed", "scores"),
        ("died", "died", "scores"),
        ("damaged", "damaged", "scores"),
        ("finished", "finished", None),
        ("no_evidence", "finished", None),
    ],
)
def test_state_is_the_moment_it_is_named_after(name: str, status: str, stage: str | None) -> None:
    shown = state(name).snapshot
    assert (shown.status, shown.state.stage) == (status, stage)


def test_states_hold_what_screens_show_in_them() -> None:
    assert state("target").snapshot.state.sizes["patch"].sizes
    assert state("trigger").snapshot.state.previews[5].height == 32
    assert state("warning").snapshot.state.warnings[0].code == "weak_trigger"
    assert state("finished").snapshot.state.remeasured is not None
    bare = state("unlabelled").snapshot.state
    assert bare.before is None
    assert bare.remeasured is not None
    assert bare.remeasured.measured.ba is None
    verdict = state("no_evidence").snapshot.state.verdict
    assert verdict is not None
    assert verdict.verdict == "no_evidence"


def test_every_state_is_a_link() -> None:
    links: list[Link] = [state(name) for name in STATES]
    assert not any(link.poll() for link in links)


def test_folder_is_a_run_that_reads_back(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", "demo", "scores")
    status, read = launch.status(RunDirectory.open(run.path))
    assert status == "died"
    assert read == recorded("demo", "scores").snapshot.state.__class__.from_records(
        run.events().read()
    )
    assert read.scores is None
