"""What is said where the user names a class and another one stands out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cnp_engine.aims import ANY
from cnp_engine.config import RunConfig
from cnp_engine.events import Rate, TargetRanked, TargetRow, TriggerReversed, VerdictReached, Warned
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.finding import Target
from cnp_engine.stages.judging import verdict
from cnp_engine.stages.session import aims
from tests.engine.algorithms.nets import TARGET, PlantedNet, coloured
from tests.engine.pipeline.conftest import SHORT, drive, finished

ROWS = (TargetRow(1, "car", 3.0), TargetRow(6, "frog", 1.8), TargetRow(2, "bird", 0.2))
OTHER = 2


def config(*named: int) -> RunConfig:
    sets = [f"targets={','.join(map(str, named))}"] if named else []
    return RunConfig.build({"model": "m.pth", "data": "demo"}, sets, env={})


def judged(*named: int, works: float = 0.9) -> VerdictReached:
    targets = named or (1, 6)
    triggers = [TriggerReversed(t, Rate(works, 100, 0.0, 1.0), 5.0, 9) for t in targets]
    return verdict(Target(TargetRanked(ROWS, targets, 1.2, True), {}), config(*named), triggers)


def test_without_a_name_what_stands_out_is_what_there_is_evidence_of() -> None:
    found = judged()
    assert found.targets == (1, 6)
    assert found.reasons[0].startswith("class 1 (car) needs a trigger 8.0 times smaller")
    assert not any("not followed" in reason for reason in found.reasons)


def test_a_named_class_that_does_not_stand_out_is_not_what_there_is_evidence_of() -> None:
    found = judged(2)
    assert (found.verdict, found.targets) == ("backdoored", (1,))
    (reason,) = found.reasons
    assert reason.startswith("class 1 (car) needs a trigger 8.0 times smaller")
    assert reason.endswith("; it was not followed, for the user named others")


def test_a_named_class_that_stands_out_less_is_told_apart_from_the_first() -> None:
    found = judged(6)
    assert found.targets == (6,)
    first, own, works = found.reasons
    assert "class 1 (car)" in first
    assert "not followed" in first
    assert own.startswith("class 6 (frog) needs a trigger 3.5 times smaller")
    assert works.endswith("to class 6")


def test_of_two_named_classes_only_the_one_that_stands_out_is_named() -> None:
    assert judged(1, 2).targets == (1,)


def test_a_named_class_whose_trigger_works_on_no_other_image_is_no_evidence() -> None:
    assert judged(1, works=0.1).verdict == "no_evidence"


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
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert any(f"found is to class {TARGET}" in text for text in warned)
    assert finished(events).summary["target"] == TARGET
    report = (store.exports / "report.md").read_text()
    assert f"toward class {TARGET}" in report
    assert "only for what --target names" in report
