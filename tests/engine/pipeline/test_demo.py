"""The main job on the embedded model and its clean twin, with real figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cnp_engine.algorithms.contrastive import MaskState
from cnp_engine.algorithms.metrics import CACHED
from cnp_engine.algorithms.pruning import Judge, cost
from cnp_engine.algorithms.scores import Harm, eliminate, put_back
from cnp_engine.events import (
    Chosen,
    CurvePoint,
    DataLoaded,
    Event,
    Exported,
    ModelLoaded,
    Progress,
    ScoresReady,
    StageStarted,
    TargetRanked,
    VerdictReached,
)
from cnp_engine.export.files import read_mask_values
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.registry import load_model
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages import finding
from cnp_engine.stages.material import load
from cnp_engine.stages.session import reopen
from cnp_engine.state import RunState
from cnp_engine.steps import result
from tests.engine.pipeline.conftest import ASSETS, finished

Run = tuple[RunDirectory, list[Event]]

CONTRACT = {
    "status", "verdict", "target", "target_ranking", "reversed", "neurons", "threshold", "before",
    "after", "label_free", "seconds", "peak_memory_bytes", "device", "seed", "exports", "run",
}  # fmt: skip


def summary(run: Run) -> dict[str, Any]:
    return finished(run[1]).summary


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.slow
class TestRepaired:
    def test_the_backdoor_is_found_and_suppressed(self, repaired: Run) -> None:
        found = summary(repaired)
        assert found["verdict"] == "backdoored"
        assert found["target"] == 5
        assert found["repaired"] == [5]
        assert found["before"]["asr"] >= 0.98
        # the bar is 2 %; rounding that differs with the machine moves it (docs/log.md)
        assert found["after"]["asr"] <= 0.03
        assert found["before"]["ba"] - found["after"]["ba"] <= 0.015
        assert 0 < found["neurons"]["fraction"] <= 0.03

    def test_summary_has_the_keys_of_the_contract(self, repaired: Run) -> None:
        found = summary(repaired)
        assert set(found) >= CONTRACT
        stored = json.loads((repaired[0].path / "summary.json").read_text())
        assert stored == json.loads(json.dumps(found))

    def test_what_pruning_has_repaired_is_not_healed(self, repaired: Run) -> None:
        """With every setting as it comes."""
        store, events = repaired
        assert store.config.heal.when == "auto"
        assert not any(isinstance(e, StageStarted) and e.stage == "heal" for e in events)
        assert finished(events).summary["healed"] is None

    def test_the_target_stands_out_in_the_ranking(self, repaired: Run) -> None:
        ranked: TargetRanked = of(repaired[1], TargetRanked)[-1]
        assert ranked.suspicious
        assert ranked.ranking[0].index == 5
        assert ranked.ranking[0].score > 2 * ranked.ranking[1].score

    def test_the_file_loads_in_the_users_own_way(self, repaired: Run) -> None:
        """Same keys, order and dtypes; only BN weights of pruned neurons differ, and are 0."""
        before = torch.load(ASSETS / "demo_model.pth", weights_only=True)
        path = repaired[0].exports / "purified.pth"
        after = torch.load(path, weights_only=True)
        assert list(after) == list(before)
        changed = 0
        for key, old in before.items():
            new = after[key]
            assert new.dtype == old.dtype
            differs = new != old
            changed += int(differs.sum())
            assert not differs.any() or bool((new[differs] == 0).all())
            assert not differs.any() or (".bn" in f".{key}" or "shortcut.1" in key)
        assert changed == summary(repaired)["neurons"]["pruned"]
        safe = load_file(repaired[0].exports / "purified.safetensors")
        assert all(torch.equal(safe[key], after[key]) for key in after)

    def test_what_was_exported_is_what_was_said(self, repaired: Run) -> None:
        exported: Exported = of(repaired[1], Exported)[-1]
        assert {Path(p).name for p in exported.paths} == {
            "purified.pth", "purified.safetensors", "mask_values.txt", "curve.csv", "trigger.png",
        }  # fmt: skip
        assert all(Path(p).stat().st_size > 0 for p in summary(repaired)["exports"])
        assert {Path(p).name for p in summary(repaired)["exports"]} >= {"report.html", "report.md"}

    def test_scores_of_the_mask_file_prune_the_same_neurons(self, repaired: Run) -> None:
        loaded = load_model(read_checkpoint(ASSETS / "demo_model.pth"))
        layers = [(layer.name, layer.channels) for layer in loaded.layers]
        text = (repaired[0].exports / "mask_values.txt").read_text()
        scores = torch.tensor(read_mask_values(text, layers), dtype=torch.float64)
        k = summary(repaired)["neurons"]["pruned"]
        lowest = set(scores.argsort(stable=True)[:k].tolist())
        flat = torch.cat([loaded.module.get_parameter(f"{n}.weight") for n, _ in layers])
        purified = load_model(read_checkpoint(repaired[0].exports / "purified.pth"))
        after = torch.cat([purified.module.get_parameter(f"{n}.weight") for n, _ in layers])
        assert set(torch.nonzero(flat != after).flatten().tolist()) == lowest

    def test_of_two_orders_the_one_on_which_pruning_comes_cheaper_counts(
        self, repaired: Run
    ) -> None:
        """Elimination asks those who taught the masks and those who will judge."""
        store, _ = repaired
        session = reopen(store.config, store, RunState.from_records(store.events().read()))
        network, triggers = session.material.network, session.triggers
        mask_N = MaskState.restore(load(store, finding.MASKS)).mask_N
        images = session.material.optimise[: finding.ORDER_IMAGES]
        assert triggers.grown
        judge = Judge(network, images, triggers.grown)

        def least(order: list[int]) -> float:
            every = torch.tensor(order + [n for n in range(len(mask_N)) if n not in order])
            looked_at = finding.looked_at(len(order))
            return min(cost(judge.point(k, every), 4.0) for k in looked_at)

        once, again = (
            result(how(Harm(network, asked, stamped, mask_N, 48), 0, 1))
            for how, asked, stamped in (
                (put_back, images, triggers.strong),
                (eliminate, images[:64], (*triggers.strong, *triggers.grown)),
            )
        )
        assert once != again, "or this could not tell"
        cheaper = again if least(again) < least(once) else once
        assert session.scores.order_N[: len(once)].tolist() == cheaper

    def test_the_order_that_is_told_is_that_of_the_scores(self, repaired: Run) -> None:
        """As far as the curve goes, for a front end that shows which neurons go."""
        told: ScoresReady = of(repaired[1], ScoresReady)[-1]
        layers = of(repaired[1], ModelLoaded)[-1].layers
        named = [(layers[layer][0], channel) for layer, channel in told.order]
        assert named[:12] == [(name, channel) for name, channel, _ in told.lowest]
        assert len(set(named)) == max(p.k for p in of(repaired[1], CurvePoint))

    @pytest.mark.parametrize("stage", ["load", "export"])
    def test_measuring_tells_how_far_it_has_come(self, repaired: Run, stage: str) -> None:
        """With many images, or a large network, it takes minutes in which a run may be stopped."""
        told = [event for event in of(repaired[1], Progress) if event.stage == stage]
        images = of(repaired[1], DataLoaded)[-1].test
        assert {event.label for event in told} == {"measuring"}
        assert [event.done for event in told] == [*range(CACHED, images, CACHED), images]
        assert {event.total for event in told} == {images}

    def test_the_choice_lies_on_the_curve_and_the_curve_starts_at_the_checkpoint(
        self, repaired: Run
    ) -> None:
        points: dict[int, CurvePoint] = {p.k: p for p in of(repaired[1], CurvePoint)}
        chosen: Chosen = of(repaired[1], Chosen)[-1]
        start = points[0].label_free
        assert start.retention is not None
        assert start.residual is not None
        assert start.retention.value == 1.0
        assert start.residual.value > 0.8
        assert chosen.k in points
        assert points[chosen.k].measured.asr is not None


@pytest.mark.slow
class TestCleared:
    def test_the_clean_twin_shows_no_evidence_and_nothing_is_pruned(self, cleared: Run) -> None:
        found = summary(cleared)
        assert found["verdict"] == "no_evidence"
        assert found["target"] is None
        assert found["neurons"]["pruned"] == 0
        assert found["repaired"] == []
        assert found["before"]["ba"] >= 0.95
        assert found["after"] == found["before"]
        assert not (cleared[0].exports / "purified.pth").exists()
        assert (cleared[0].exports / "report.html").is_file()

    def test_the_verdict_says_how_far_the_first_class_stands_out(self, cleared: Run) -> None:
        verdict: VerdictReached = of(cleared[1], VerdictReached)[-1]
        assert verdict.confidence > 0.5
        assert "times smaller" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("last", "counts"),
    [(0, []), (1, [1]), (6, [1, 2, 3, 4, 5, 6]), (24, [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 24])],
)
def test_two_orders_are_compared_at_some_k(last: int, counts: list[int]) -> None:
    assert finding.looked_at(last) == counts
