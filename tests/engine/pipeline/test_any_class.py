"""A whole run on a network in which a trigger makes every class the next one (all-to-all)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cnp_engine.aims import ANY
from cnp_engine.algorithms.ranking import Ranking
from cnp_engine.config import RunConfig
from cnp_engine.events import (
    Event,
    StageFinished,
    TargetRanked,
    TargetRow,
    TriggerReversed,
    VerdictReached,
)
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.finding import follow
from cnp_engine.stages.session import reopen
from cnp_engine.state import RunState
from tests.engine.algorithms.nets import DETECTOR, AllToAllNet, coloured
from tests.engine.pipeline.conftest import SHORT, drive, finished

ATTACK = """
attack = "badnets"
goal = "all-to-all"
classes = 4
[trigger]
side = 3
corner = "bottom-right"
"""
LONG = ("target.steps=60", "target.batch=8", "target.threshold=1", "target.shift=0",
        "reversal.steps=60", "reversal.batch=8", "masks.rounds=6", "masks.batches=8",
        "masks.order_limit=8", "sweep.max_fraction=1", "sweep.cap=1",
        "sweep.retention=0.5")  # fmt: skip
"""Eight neurons: one is an eighth of them. Moved, these pictures are dark, which is a class."""

Run = tuple[RunDirectory, list[Event]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("any")
    torch.save(AllToAllNet().state_dict(), place / "model.pth")
    (place / "net.py").write_text(
        "from tests.engine.algorithms.nets import AllToAllNet\n\n"
        "def network():\n    return AllToAllNet()\n"
    )
    x, _ = coloured(200)
    test, labels = coloured(40, seed=8)
    train, measured = ((255 * images).byte().permute(0, 2, 3, 1).numpy() for images in (x, test))
    np.savez(place / "data.npz", x_train=train, x_test=measured, y_test=labels.numpy())
    (place / "attack.toml").write_text(ATTACK)
    values = {
        "model": str(place / "model.pth"), "arch": f"{place / 'net.py'}:network",
        "data": str(place / "data.npz"), "attack": str(place / "attack.toml"),
        "clean": 200, "device": "cpu",
    }  # fmt: skip
    config = RunConfig.build(values, (*SHORT, *LONG), env={})
    store = RunDirectory.create(place / "run", config)
    return store, drive(store)


def one(run: Run, kind: type[Event]) -> Event:
    (found,) = (event for event in run[1] if isinstance(event, kind))
    return found


def test_no_class_stands_out_and_yet_there_is_a_backdoor(run: Run) -> None:
    ranked, verdict = one(run, TargetRanked), one(run, VerdictReached)
    assert isinstance(ranked, TargetRanked)
    assert isinstance(verdict, VerdictReached)
    assert ranked.suspicious
    assert ranked.targets == (ANY,)
    assert ranked.ranking[0].index == ANY
    assert verdict.verdict == "backdoored"
    assert verdict.targets == (ANY,)
    stands, works = verdict.reasons
    assert "changes every answer, whatever it becomes" in stands
    share = ranked.ranking[0].signals["paired"]
    assert share is not None
    assert f"{100 * share:.1f} % of a class to one of its own" in stands
    assert "changes the answer to" in works
    trigger = one(run, TriggerReversed)
    assert isinstance(trigger, TriggerReversed)
    assert trigger.target == ANY
    assert trigger.success.value > 0.9
    assert trigger.success.n == 60, "every image can tell"


def test_what_carries_it_is_pruned_and_the_files_say_so(run: Run) -> None:
    summary = finished(run[1]).summary
    assert summary["verdict"] == "backdoored"
    assert summary["target"] is None
    assert summary["target_ranking"][0]["class"] is None
    assert summary["target_ranking"][0]["name"] == "any class"
    assert sorted(row["class"] for row in summary["target_ranking"][1:]) == [0, 1, 2, 3]
    assert summary["before"]["asr"] == 1.0
    assert summary["after"]["asr"] == 0.0
    assert summary["after"]["ra"] == summary["after"]["ba"] == 1.0
    assert summary["label_free"]["residual"] < 0.1
    assert summary["neurons"]["pruned"] in (1, 2)
    assert summary["repaired"] == [None]
    state = torch.load(run[0].exports / "purified.pth", weights_only=True)
    assert float(state["bn1.weight"][DETECTOR]) * float(state["bn2.weight"][DETECTOR]) == 0
    report = (run[0].exports / "report.md").read_text()
    assert "toward no class in particular" in report
    assert "class -1" not in report
    assert "| -1 " not in report
    assert json.loads((run[0].path / "summary.json").read_text()) == summary


def test_a_run_that_goes_on_takes_over_what_is_done(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run[0].path, tmp_path / "copy")
    store = RunDirectory.open(tmp_path / "copy")
    log = store.events().path
    log.write_text(log.read_text().partition('"tag":"scores_ready"')[0].rpartition("\n")[0] + "\n")
    (store.path / "summary.json").unlink()
    events = drive(store)
    stages = [event for event in events if isinstance(event, StageFinished)]
    again = {event.stage for event in stages if event.restored}
    assert again >= {"target", "trigger", "scores", "sweep"}
    for key in ("target", "target_ranking", "neurons", "label_free", "after"):
        assert finished(events).summary[key] == finished(run[1]).summary[key]
    session = reopen(store.config, store, RunState.from_events(events))
    assert {trigger.target for trigger, _ in session.triggers.judges} == {ANY}


ROWS = (TargetRow(ANY, "any class", 1.7), TargetRow(2, "2", 0.4), TargetRow(0, "0", 0.1))


@pytest.mark.parametrize(
    ("suspects", "named", "followed"),
    [
        ((ANY,), (), (ANY,)),
        ((ANY,), (2,), (2, ANY)),  # the user's class is followed, and what stands out as well
        ((2,), (0,), (0, 2)),
        ((2,), (2,), (2,)),
        ((), (0,), (0,)),
        ((), (), ()),
    ],
)
def test_a_class_of_the_users_does_not_hide_it(
    suspects: tuple[int, ...], named: tuple[int, ...], followed: tuple[int, ...]
) -> None:
    config = RunConfig.build({"model": "m", "data": "d", "targets": named}, env={})
    target = follow(config, Ranking(ROWS, suspects, 1.3, {ANY: ("patch",)}))
    assert target.ranked.targets == followed
    assert set(target.families) == {str(index) for index in followed}
