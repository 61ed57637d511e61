"""A run cut off at any event and taken up again ends in the same bits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from cnp_engine import codec
from cnp_engine.algorithms.pruning import ChoiceRule, choose
from cnp_engine.config import HealSettings
from cnp_engine.events import Event, Finished, Progress, StageFinished, TargetRanked
from cnp_engine.rundir import RunDirectory
from cnp_engine.stages.healing import called_for, wanted
from cnp_engine.stages.session import reopen
from cnp_engine.state import RunState
from tests.engine.pipeline.conftest import TARGETED, demo_config, drive


def results(store: RunDirectory) -> tuple[bytes, bytes, bytes]:
    return (
        store.artifact("scores.safetensors").read_bytes(),
        (store.path / "curve.json").read_bytes(),
        (store.exports / "purified.safetensors").read_bytes(),
    )


def moments(events: list[Event]) -> list[int]:
    """Before and after the end of each stage, and within the rounds of the masks."""
    ends = [i for i, e in enumerate(events) if isinstance(e, StageFinished)]
    masks = [
        i for i, e in enumerate(events)
        if isinstance(e, Progress) and e.stage == "scores" and e.label == ""
    ]  # fmt: skip
    cuts = {*ends, *(end + 1 for end in ends[:-1]), masks[3], masks[4]}
    return sorted(cuts)


def test_cut_off_anywhere(whole: tuple[RunDirectory, list[Event]], tmp_path: Path) -> None:
    store, events = whole
    for moment in moments(events):
        again = RunDirectory.create(tmp_path / f"cut-{moment}", store.config)
        drive(again, stop_before=moment)
        last = drive(RunDirectory.open(again.path))[-1]
        assert isinstance(last, Finished), moment
        assert results(again) == results(store), moment


def test_a_second_run_is_the_same_bits(
    whole: tuple[RunDirectory, list[Event]], tmp_path: Path
) -> None:
    again = RunDirectory.create(tmp_path / "again", whole[0].config)
    drive(again)
    assert results(again) == results(whole[0])


def test_another_seed_is_another_run(
    whole: tuple[RunDirectory, list[Event]], tmp_path: Path, few: Path
) -> None:
    config = demo_config("demo_model.pth", *TARGETED, f"data={few}", seed=1)
    other = RunDirectory.create(tmp_path / "other", config)
    drive(other)
    ours, theirs = (load_file(s.artifact("scores.safetensors")) for s in (whole[0], other))
    assert not ours["scores"].equal(theirs["scores"])


def test_a_run_looks_for_the_kinds_of_triggers_it_is_told(few: Path, tmp_path: Path) -> None:
    sets = (*TARGETED, f"data={few}", "target.families=patch,wave", "until=verdict")
    store = RunDirectory.create(tmp_path / "run", demo_config("demo_model.pth", *sets))
    events = drive(store)
    (ranked,) = (event for event in events if isinstance(event, TargetRanked))
    assert {name for row in ranked.ranking for name in row.signals if "octaves" in name} == {
        "patch_octaves", "wave_octaves",
    }  # fmt: skip
    steps = [e for e in events if isinstance(e, Progress) and e.stage == "target"]
    assert {step.label for step in steps} == {"patch", "wave"}


def test_few_images_that_choose_are_seen_in_several_views(
    whole: tuple[RunDirectory, list[Event]], few: Path, tmp_path: Path
) -> None:
    """The curve tells of the images as they are; what was chosen on, the rule says."""
    store, events = whole
    session = reopen(store.config, store, RunState.from_events(events))
    curve, order_N = session.curve, session.scores.order_N
    assert curve.chosen.rule.endswith("; judged on 10 views of each of 30 images")
    told, decides = session.material.judges(session.triggers.judges)
    assert (told.sizes[0], decides.sizes[0]) == (30, 300)
    plain = [point.label_free for point in curve.points]
    assert [told.point(point.k, order_N).label_free for point in curve.points] == plain
    given = store.config.sweep
    rule = ChoiceRule(given.price, given.cap, given.retention, given.noise, given.spend)
    judged = [decides.point(point.k, order_N) for point in curve.points]
    assert choose(judged, session.neurons, rule, 10).k == curve.chosen.k
    again = RunDirectory.create(
        tmp_path / "once", demo_config("demo_model.pth", *TARGETED, f"data={few}", "sweep.views=30")
    )
    drive(again)
    once = json.loads((again.path / "curve.json").read_text())
    assert "views" not in once["chosen"]["rule"]
    assert [point["label_free"] for point in once["points"]] == [codec.encode(one) for one in plain]


def test_whether_few_images_call_for_healing_their_views_say(
    whole: tuple[RunDirectory, list[Event]],
) -> None:
    store, events = whole
    session = reopen(store.config, store, RunState.from_events(events))
    order_N, judges = session.scores.order_N, session.triggers.judges
    _, decides = session.material.judges(judges)
    apart = 0
    for point in session.curve.points[1:]:
        seen, free = decides.point(point.k, order_N).retention.value, point.label_free.retention
        assert free is not None
        if abs(seen - free.value) < 0.01:
            continue
        apart += 1
        between = (seen + free.value) / 2
        heal = HealSettings(when="auto", retention=between, residual=1.0)
        material = replace(session.material, config=replace(store.config, heal=heal))
        assert wanted(material, judges, order_N, point) == (seen < between)
        assert called_for(heal, point) == (free.value < between)
    assert apart


def test_images_of_searches_are_as_the_settings_say(few: Path, tmp_path: Path) -> None:
    """Moved in the ranking always, after it where they are few: 70 of the hundred optimise. A first
    look takes fewer."""

    def searched(*sets: str) -> tuple[bytes, bytes]:
        place = tmp_path / "-".join(("run", *sets))
        more = ("target.families=patch", "until=verdict", *sets)
        store = RunDirectory.create(
            place, demo_config("demo_model.pth", *TARGETED, f"data={few}", *more)
        )
        drive(store)
        found = load_file(store.artifact("trigger.safetensors"))
        smallest = found["0.pattern"].numpy().tobytes()  # which no figure of the ranking touches
        return store.artifact("target.json").read_bytes(), smallest

    moved, still = searched(), searched("reversal.crop_under=0")
    assert searched("reversal.crop_under=71") == moved
    assert searched("reversal.crop_under=70") == still
    assert moved[0] == still[0]
    assert moved[1] != still[1]
    ranked, reversed_ = searched("target.shift=0")
    assert ranked != moved[0]
    assert reversed_ == moved[1]
    far = ("target.threshold=99",)  # so far that the first look is believed
    glanced = searched("target.batch=8", "target.glance=4", *far)
    assert glanced == searched(*far)
    assert glanced != searched("target.batch=8", *far)
