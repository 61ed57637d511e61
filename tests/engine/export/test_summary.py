"""summary.json: exactly the contract's keys, null where not measured, figures as plain numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cnp_engine.aims import ANY
from cnp_engine.events import LabelFree, Measured, Rate, TargetRow
from cnp_engine.export.summary import SummaryParts, summary, summary_json

TOP = [
    *("status", "verdict", "target", "target_ranking", "reversed", "neurons", "threshold"),
    *("before", "after", "label_free", "healed", "repaired", "seconds", "peak_memory_bytes"),
    *("device", "seed", "exports", "run", "evidence"),
]
NESTED = {
    "reversed": ["success", "mask_l1"],
    "neurons": ["total", "pruned", "fraction"],
    "before": ["ba", "asr", "ra"],
    "after": ["ba", "asr", "ra"],
    "label_free": ["retention", "residual", "recovery"],
    "seconds": ["total", "load", "target", "trigger", "scores", "sweep", "heal", "export"],
    "evidence": ["n", "intervals", "asr_all", "definitions"],
}
FULL = SummaryParts(
    seed=7,
    verdict="backdoored",
    targets=(3,),
    ranking=(
        TargetRow(3, "cat", 5.0, mask_l1=9.0, signals={"neuron": 0.5, "odd": float("nan")}),
        TargetRow(0, "airplane", float("inf")),
    ),
    success=Rate(0.99, 800, 0.98, 0.995),
    mask_l1=9.0,
    neurons=2400,
    pruned=24,
    threshold=0.25,
    before=Measured(ba=Rate(0.9, 1000, 0.88, 0.92), asr=Rate(1.0, 900, 0.99, 1.0)),
    after=Measured(ba=Rate(0.89, 1000, 0.87, 0.91), asr_all=Rate(0.1, 1000, 0.08, 0.12)),
    label_free=LabelFree(retention=Rate(0.95, 500, 0.93, 0.97)),
    seconds={"total": 12.5, "load": 0.5, "export": 1.0},
    peak_memory_bytes=1 << 30,
    device="cpu",
    exports=("exports/purified.pth",),
    run="/runs/a",
)


def read(parts: SummaryParts) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(summary_json(summary(parts)))
    return loaded


@pytest.mark.parametrize("parts", [SummaryParts(seed=0), FULL], ids=["empty", "full"])
def test_keys_are_the_contract(parts: SummaryParts) -> None:
    loaded = read(parts)
    assert list(loaded) == TOP
    assert {key: list(loaded[key]) for key in NESTED} == NESTED


def test_what_was_not_measured_is_null() -> None:
    loaded = read(SummaryParts(seed=0))
    for place in ("verdict", "target", "threshold", "peak_memory_bytes", "device", "run"):
        assert loaded[place] is None, place
    for group in ("reversed", "before", "after", "label_free", "seconds"):
        assert set(loaded[group].values()) == {None}, group
    assert loaded["neurons"] == {"total": None, "pruned": 0, "fraction": None}
    assert loaded["target_ranking"] == loaded["exports"] == loaded["repaired"] == []
    assert loaded["evidence"]["n"] == {}


def test_values_are_in_their_places() -> None:
    loaded = read(FULL)
    assert loaded["before"] == {"ba": 0.9, "asr": 1.0, "ra": None}
    assert loaded["after"] == {"ba": 0.89, "asr": None, "ra": None}
    assert loaded["label_free"] == {"retention": 0.95, "residual": None, "recovery": None}
    assert loaded["neurons"] == {"total": 2400, "pruned": 24, "fraction": 0.01}
    assert loaded["reversed"] == {"success": 0.99, "mask_l1": 9.0}
    assert (loaded["seconds"]["total"], loaded["seconds"]["export"]) == (12.5, 1.0)
    assert loaded["target_ranking"][0]["class"] == 3
    assert loaded["target_ranking"][0]["signals"] == {"neuron": 0.5, "odd": None}
    assert loaded["target_ranking"][1]["score"] is None


def test_evidence_carries_n_and_interval_of_each_rate() -> None:
    evidence = read(FULL)["evidence"]
    assert evidence["n"] == {
        "reversed.success": 800,
        "before.ba": 1000,
        "before.asr": 900,
        "after.ba": 1000,
        "after.asr_all": 1000,
        "label_free.retention": 500,
    }
    assert evidence["intervals"]["before.asr"] == [0.99, 1.0]
    assert evidence["asr_all"] == {"before": None, "after": 0.1}
    assert set(evidence["intervals"]) == set(evidence["n"])
    assert "not the target" in evidence["definitions"]["asr"]


@pytest.mark.parametrize(("targets", "shown"), [((), None), ((3,), 3), ((3, 1), [3, 1])])
def test_target_is_one_or_several(targets: tuple[int, ...], shown: object) -> None:
    assert read(SummaryParts(seed=0, targets=targets))["target"] == shown


def test_what_is_repaired_may_be_another_class_than_that_of_the_verdict() -> None:
    assert read(SummaryParts(seed=0, targets=(3,), repaired=(5, ANY)))["repaired"] == [5, None]
