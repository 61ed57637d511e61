"""A finished run that is looked at: exact answers, exports on request, refusals that harm nothing.

In this process but for one test: what the worker makes of signals is in ``runs/test_serving``.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from cnp_engine import launch, pipeline
from cnp_engine.algorithms.metrics import measure
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.algorithms.pruning import Judge
from cnp_engine.commands import Command, Evaluate, Export
from cnp_engine.errors import Interrupted
from cnp_engine.events import (
    Chosen,
    CurvePoint,
    Evaluated,
    Event,
    Exported,
    Finished,
    Progress,
    Refused,
    Remeasured,
    RunStarted,
)
from cnp_engine.models.checkpoint import file_digest, read_checkpoint
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import committing
from cnp_engine.stages.answering import Answers
from cnp_engine.stages.session import reopen
from cnp_engine.state import RunState
from tests.engine.pipeline.conftest import ASSETS

Run = tuple[RunDirectory, list[Event]]


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> RunDirectory:
    """A copy of the finished run, with a copy of its model, to do as one likes with."""
    place = tmp_path / "run"
    shutil.copytree(whole[0].path, place)
    return RunDirectory.open(place)


def ask(run: RunDirectory, *commands: Command | Callable[[], object]) -> list[Event]:
    """What a new worker on ``run`` says, asked one thing after the other; a function is called."""
    waiting = list(commands)

    def inbox(timeout_s: float = 0.0) -> list[Command]:
        while waiting:
            command = waiting.pop(0)
            if isinstance(command, Command):
                return [command]
            command()
        raise Interrupted("enough")

    said: list[Event] = []
    with launch.viewing(run), contextlib.suppress(Interrupted):
        for event in pipeline.run(run.config, run, inbox):
            run.events().append(event)
            said.append(event)
    return said


def kinds(said: Sequence[Event]) -> list[type[Event]]:
    """What was said beside how far an answer is."""
    assert all(event.asked for event in said if isinstance(event, Progress))
    return [type(event) for event in said if not isinstance(event, Progress)]


def state(run: RunDirectory) -> RunState:
    status, found = launch.status(run)
    assert status == "finished"
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pruned_in(path: Path) -> int:
    """How many weights differ from the checkpoint's, each of them 0."""
    before, after = read_checkpoint(ASSETS / "demo_model.pth").state, read_checkpoint(path).state
    changed = [after[key][after[key] != before[key]] for key in before]
    assert not torch.cat(changed).any()
    return sum(map(len, changed))


def agrees(run: RunDirectory, k: int) -> None:
    """Files, report, summary and log all tell of ``k`` neurons."""
    found = state(run)
    assert found.remeasured is not None
    assert found.chosen is not None
    assert found.exported is not None
    summary = json.loads((run.path / "summary.json").read_text())
    assert found.summary == summary
    assert (found.chosen.k, found.remeasured.k, summary["neurons"]["pruned"]) == (k, k, k)
    for name in ("purified.pth", "purified.safetensors"):
        assert pruned_in(run.exports / name) == k
    assert file_digest(run.exports / "purified.pth")[1] == found.exported.sha256
    assert f"k = {k}." in (run.exports / "report.md").read_text()
    assert found.remeasured.measured.ba is not None
    assert summary["after"]["ba"] == found.remeasured.measured.ba.value
    assert {p.name for p in run.exports.iterdir()} >= {Path(p).name for p in summary["exports"]}
    assert not [p for p in run.exports.iterdir() if p.name.startswith(".")]


def test_a_finished_run_is_taken_up_without_doing_anything_again(run: RunDirectory) -> None:
    before = contents(run.path)
    said = ask(run)
    assert kinds(said) == [Finished]
    after = contents(run.path)
    log = before.pop("events.jsonl"), after.pop("events.jsonl")
    assert log[1].startswith(log[0])
    after.pop("viewers")
    assert after == before


def test_answers_are_those_of_the_curve(run: RunDirectory, whole: Run) -> None:
    points = {e.k: e for e in whole[1] if isinstance(e, CurvePoint)}
    wanted = [0, 1, max(points), 2, 0]
    said = ask(run, *map(Evaluate, wanted))
    answers = [event for event in said if isinstance(event, Evaluated)]
    assert [answer.k for answer in answers] == wanted
    for answer in answers:
        assert answer.label_free == points[answer.k].label_free
        assert answer.seconds > 0
    before = state(run).before
    assert before is not None
    assert before.ba is not None
    assert answers[0].measured.ba is not None
    # bfloat16 here, float32 there, on the same images
    assert answers[0].measured.ba.n == before.ba.n
    assert answers[0].measured.ba.value == pytest.approx(before.ba.value, abs=0.05)
    assert answers[0].measured == answers[-1].measured


def test_answers_are_the_same_however_they_are_come_to(run: RunDirectory) -> None:
    """Asked in a row, thought of ahead, or measured from scratch as the curve is."""
    session = reopen(run.config, run, state(run))
    answers = Answers(session)
    asked = answers.evaluate(6)
    while not {5, 7, 8} <= answers.known.keys():
        assert answers.ponder()
    ahead = {k: answers.evaluate(k) for k in (5, 7, 8, 3)}
    ahead[6] = asked
    network, order_N = session.material.network, session.scores.order_N
    judge = Judge(network, session.material.select, session.triggers.judges)
    assert session.evidence.truth is not None
    for k, answer in ahead.items():
        assert answer.label_free == judge.point(k, order_N).label_free
        mask_N = pruned_mask(order_N, k)
        assert answer.measured == measure(network, session.evidence.truth, mask_N, exact=False)


def test_the_user_exports_another_number_and_returns(run: RunDirectory) -> None:
    recommended = state(run).recommended
    assert recommended is not None
    k = recommended.k + 3
    said = ask(run, Export(k))
    assert kinds(said) == [Finished, Chosen, Remeasured, Exported, Finished]
    agrees(run, k)
    ask(run)
    again = state(run)
    agrees(run, k)
    assert again.recommended == recommended
    assert again.chosen is not None
    assert again.chosen.by_user
    ask(run, Export())
    agrees(run, recommended.k)
    assert state(run).chosen == recommended


def test_a_single_format_takes_along_what_would_contradict_it(run: RunDirectory) -> None:
    ask(run, Export(2, ("safetensors",)))
    agrees(run, 2)


def test_a_copy_elsewhere_leaves_the_run_as_it_is(run: RunDirectory, tmp_path: Path) -> None:
    before, exports = state(run), contents(run.exports)
    said = ask(run, Export(4, ("pth", "report"), str(tmp_path / "a" / "b")))
    assert kinds(said) == [Finished, Remeasured, Exported]
    names = ["purified.pth", "report.html", "report.md"]
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == names
    assert pruned_in(tmp_path / "a" / "b" / "purified.pth") == 4
    after = state(run)
    assert contents(run.exports) == exports
    assert (after.chosen, after.remeasured) == (before.chosen, before.remeasured)
    assert after.summary == before.summary
    assert after.copied is not None
    assert after.copied.k == 4
    assert after.exported is not None
    assert after.exported.copy


REFUSALS: list[tuple[Command, str]] = [
    (Evaluate(-1), "neurons cannot be pruned"),
    (Evaluate(10**6), "neurons cannot be pruned"),
    (Export(10**6), "neurons cannot be pruned"),
    (Export(1, ("gif",)), "no export format"),
    (Export(1, (), "somewhere"), "from where"),
    (Export(1, (), "/dev/null/x"), "/dev/null/x"),
]


@pytest.mark.parametrize(("request_", "says"), REFUSALS, ids=lambda value: str(value)[:40])
def test_what_cannot_be_done_is_refused_and_the_next_is_answered(
    run: RunDirectory, request_: Command, says: str
) -> None:
    before, exports = state(run), contents(run.exports)
    said = ask(run, request_, Evaluate(1))
    assert kinds(said) == [Finished, Refused, Evaluated]
    refused = said[1]
    assert isinstance(refused, Refused)
    assert says in refused.what
    assert refused.todo
    assert isinstance(request_, (Evaluate, Export))
    assert (refused.request, refused.k) == (request_.tag, request_.k)
    assert contents(run.exports) == exports
    assert state(run).chosen == before.chosen


def test_a_full_disk_is_refused_and_leaves_what_stood_there(run: RunDirectory) -> None:
    exports, limits = contents(run.exports), resource.getrlimit(resource.RLIMIT_FSIZE)
    untouched: list[dict[str, bytes]] = []
    model = (run.exports / "purified.pth").stat().st_size
    log = (run.path / "events.jsonl").stat().st_size

    def full() -> None:
        assert log + 10_000 < model, "the log has to go on"
        resource.setrlimit(resource.RLIMIT_FSIZE, (model - 1, limits[1]))

    def room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    try:
        said = ask(run, full, Export(2), room, lambda: untouched.append(contents(run.exports)))
    finally:
        room()
    assert kinds(said) == [Finished, Refused]
    assert untouched == [exports]
    ask(run, Export(2))
    agrees(run, 2)


@pytest.mark.parametrize("how", ["deleted", "changed", "data"])
def test_a_model_that_is_no_longer_there_is_told_to_whoever_asks(
    run: RunDirectory, whole: Run, tmp_path: Path, how: str
) -> None:
    """The run goes on saying how it ended, and answers once the file is back."""
    lost = Path(run.config.data if how == "data" else run.config.model)
    kept = tmp_path / "kept"
    link = tmp_path / lost.name
    shutil.copyfile(lost, kept)
    shutil.copyfile(lost, link)
    text = (run.path / "run.toml").read_text().replace(str(lost), str(link))
    (run.path / "run.toml").write_text(text)
    moved = RunDirectory.open(run.path)
    log = (run.path / "events.jsonl").read_text()
    digest = whole[0].config.digest()
    (run.path / "events.jsonl").write_text(log.replace(digest, moved.config.digest()))
    if how == "changed":
        link.write_bytes((ASSETS / "demo_clean.pth").read_bytes())
    else:
        link.unlink()
    said = ask(moved, Evaluate(1), Export(1), lambda: shutil.copyfile(kept, link), Evaluate(2))
    assert kinds(said) == [Finished, Refused, Refused, Evaluated]
    assert isinstance(said[1], Refused)
    assert str(link) in said[1].what
    assert state(moved).summary == whole[1][-1].summary  # type: ignore[attr-defined]


@pytest.mark.parametrize("moved", [(), ("purified.pth",), ("purified.pth", "report.md")])
def test_an_export_cut_off_after_its_commit_is_finished_by_the_next_worker(
    run: RunDirectory, moved: tuple[str, ...]
) -> None:
    names = ("purified.pth", "report.md")
    staging = run.exports / ".export-x"
    staging.mkdir()
    for name in names:
        (staging / name).write_bytes(b"new")
    told = state(run)
    assert told.chosen is not None
    chosen = Chosen(3, 0.1, 0.01, "by hand", by_user=True)
    last = Finished({**(told.summary or {}), "threshold": 0.1})
    committing.commit(run, staging, names, [chosen, last])
    for name in moved:
        (run.exports / committing.READY / name).replace(run.exports / name)
    assert [type(event) for event in ask(run)] == [Chosen, Finished]
    assert [(run.exports / name).read_bytes() for name in names] == [b"new", b"new"]
    assert state(run).chosen == chosen
    assert state(run).summary == json.loads((run.path / "summary.json").read_text())
    assert not (run.exports / committing.READY).exists()
    assert [type(event) for event in ask(run)] == [Finished]


def test_a_run_that_lost_an_artifact_is_worked_on_again(run: RunDirectory) -> None:
    (run.path / "curve.json").unlink()
    said = ask(run)
    assert isinstance(said[0], RunStarted)
    assert isinstance(said[-1], Finished)


def test_a_real_worker_killed_in_an_export_leaves_everything_in_agreement(
    run: RunDirectory,
) -> None:
    stood = state(run).chosen
    assert stood is not None
    with launch.viewing(run):
        worker = launch.start(run)
        assert launch.status(run)[0] == "finished"
        run.commands().append(Evaluate(2))
        _wait(lambda: 2 in state(run).evaluated)
        run.commands().append(Export(5))
        _wait(lambda: any(p.name.startswith(".export") for p in run.exports.iterdir()))
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        agrees_or_staged(run, stood.k)
        again = launch.start(run)
        run.commands().append(Export(6))
        _wait(lambda: state(run).chosen != stood)
        _wait(lambda: not (run.artifact(committing.DELIVERY)).exists())
        agrees(run, 6)
    assert again.process.wait(60) == 0


def agrees_or_staged(run: RunDirectory, k: int) -> None:
    """What a killed worker was writing lies beside what stands, which is whole."""
    for left in run.exports.glob(".export*"):
        shutil.rmtree(left)
    agrees(run, k)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
