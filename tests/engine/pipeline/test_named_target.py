"""What is said where the user names a class and another one stands out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cnp_engine.aims import ANY
from cnp_engine.algorithms.ranking import Ranking
from cnp_engine.config import RunConfig
from cnp_engine.events import Rate, TargetRow, TriggerReversed, VerdictReached, Warned
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.finding import follow
from cnp_engine.stages.judging import verdict
from cnp_engine.stages.session import aims, reopen
from cnp_engine.state import RunState
from tests.engine.algorithms.nets import TARGET, PlantedNet, coloured
from tests.engine.pipeline.conftest import SHORT, drive, finished

ROWS = (TargetRow(1, "car", 3.0), TargetRow(6, "frog", 1.8), TargetRow(2, "bird", 0.2))
OTHER = 2


def config(*named: int) -> RunConfig:
    sets = [f"targets={','.join(map(str, named))}"] if named else []
    return RunConfig.build({"model": "m.pth", "data": "demo"}, sets, env={})


def judged(*named: int, works: dict[int, float] | None = None) -> VerdictReached:
    ranking = Ranking(ROWS, (1, 6), 1.2)
    target = follow(config(*named), ranking)
    success = {1: 0.9, 2: 0.9, 6: 0.8} | (works or {})
    triggers = [
        TriggerReversed(t, Rate(success[t], 100, 0.0, 1.0), 5.0 + t, 9)
        for t in target.ranked.targets
    ]
    return verdict(target, config(*named), triggers)


def test_without_a_name_what_stands_out_is_what_there_is_evidence_of() -> None:
    found = judged()
    assert found.targets == (1, 6)
    assert found.confidence == pytest.approx(1 / (1 + math.exp(-8)))
    stands, *works = found.reasons
    assert stands.startswith("class 1 (car) needs a trigger 8.0 times smaller")
    assert [reason[-7:] for reason in works] == ["class 1", "class 6"]


def test_a_named_class_that_does_not_stand_out_is_not_what_there_is_evidence_of() -> None:
    found = judged(2)
    assert (found.verdict, found.targets) == ("backdoored", (1, 6))
    assert found.reasons[0].startswith("class 1 (car) needs a trigger 8.0 times smaller")
    assert found.reasons[-2:] == (
        "class 1 (car) is not repaired, for the user named others",
        "class 6 (frog) is not repaired, for the user named others",
    )


def test_a_named_class_that_stands_out_less_comes_before_the_first() -> None:
    found = judged(6)
    assert found.targets == (6, 1)
    assert found.reasons[-1] == "class 1 (car) is not repaired, for the user named others"
    assert judged(6, 1).targets == (6, 1)
    assert not any("not repaired" in reason for reason in judged(6, 1).reasons)


def test_what_stands_out_has_to_work_on_other_images_whoever_named_it() -> None:
    assert judged(2, works={1: 0.1, 6: 0.1}).verdict == "no_evidence"
    assert judged(1, works={1: 0.1, 6: 0.1}).verdict == "no_evidence"
    weaker = judged(works={1: 0.1})
    assert weaker.targets == (6,)
    assert weaker.confidence == pytest.approx(1 / (1 + math.exp(-4 * 0.8)))
    assert weaker.reasons[0].startswith("class 6 (frog) needs a trigger 3.5 times smaller")


def test_octaves_that_count_as_less_are_told_as_they_are_and_as_they_count() -> None:
    signals: dict[str, float | None] = {
        "patch_octaves": 3.0,
        "patch_counted": 1.5,
        "blend_octaves": 1.2,
    }
    rows = (TargetRow(1, "car", 1.5, signals=signals), TargetRow(2, "bird", 0.2))
    target = follow(config(), Ranking(rows, (1,), 1.3))
    found = verdict(target, config(), [TriggerReversed(1, Rate(0.9, 100, 0.0, 1.0), 5.0, 9)])
    assert found.reasons[0] == (
        "class 1 (car) needs a trigger 8.0 times smaller than the other classes' median "
        "(2.0 times is suspicious), which counts as 2.8 times, for the triggers of the other "
        "classes differ so much in size"
    )


@pytest.mark.parametrize(
    ("named", "found", "repaired"),
    [
        ((), (1, 6), (1, 6)),
        ((2,), (1,), (2,)),
        ((2, 1), (1,), (2, 1)),
        ((2,), (2, ANY), (2, ANY)),
        ((2,), (), (2,)),
        ((), (), ()),
    ],
)
def test_what_is_repaired(
    named: tuple[int, ...], found: tuple[int, ...], repaired: tuple[int, ...]
) -> None:
    says = VerdictReached("backdoored" if found else "no_evidence", found, 0.9, ())
    assert aims(config(*named), says) == repaired


def test_a_whole_run_says_that_something_else_was_found(tmp_path: Path) -> None:
    torch.save(PlantedNet().state_dict(), tmp_path / "model.pth")
    (tmp_path / "net.py").write_text(
        "from tests.engine.algorithms.nets import PlantedNet\n\n"
        "def network():\n    return PlantedNet()\n"
    )
    x, _ = coloured(200)
    train = (255 * x).byte().permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "data.npz", x_train=train)
    values = {
        "model": str(tmp_path / "model.pth"), "arch": f"{tmp_path / 'net.py'}:network",
        "data": str(tmp_path / "data.npz"), "clean": 200, "device": "cpu",
    }  # fmt: skip
    sets = (*SHORT, "target.steps=60", "target.batch=8", "target.threshold=1", "reversal.steps=30",
            "masks.order_limit=8", f"targets={OTHER}")  # fmt: skip
    store = RunDirectory.create(tmp_path / "run", RunConfig.build(values, sets, env={}))
    events = drive(store)
    (found,) = (event for event in events if isinstance(event, VerdictReached))
    assert (found.verdict, found.targets) == ("backdoored", (TARGET,))
    warned = {event.code: event.text for event in events if isinstance(event, Warned)}
    assert warned["forced"].startswith(f"There is no evidence of a backdoor to class {OTHER};")
    assert warned["unrepaired"].startswith(f"The backdoor to class {TARGET} is not repaired")
    assert {event.target for event in events if isinstance(event, TriggerReversed)} == {
        TARGET, OTHER,
    }  # fmt: skip
    session = reopen(store.config, store, RunState.from_events(events))
    assert {trigger.target for trigger, _ in session.triggers.judges} == {OTHER}
    told = finished(events).summary
    assert told["target"] == TARGET
    changed = told["neurons"]["pruned"] or (told["healed"] or {}).get("kept")
    assert told["repaired"] == ([OTHER] if changed else [])
    report = (store.exports / "report.md").read_text()
    assert f"toward class {TARGET}" in report
    assert "is not repaired, for --target names others" in report
    assert (
        f"What follows is of what the user named, class {OTHER}: nothing was done about class "
        f"{TARGET}." in report
    )
