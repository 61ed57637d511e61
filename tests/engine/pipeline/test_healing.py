"""A run that heals: the stage, its file beside the pruned one, what later exports make of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cnp_engine import runtime
from cnp_engine.actions import export_run, report_run
from cnp_engine.algorithms.healing import SHARES, HealPlan, heal
from cnp_engine.algorithms.overlay import pruned_mask
from cnp_engine.commands import Export
from cnp_engine.config import HealSettings
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import (
    CurvePoint,
    Healed,
    LabelFree,
    Progress,
    Rate,
    Remeasured,
    StageFinished,
    StageStarted,
    Warned,
)
from cnp_engine.models.checkpoint import file_digest, read_checkpoint
from cnp_engine.rundir import CONFIG, RunDirectory
from cnp_engine.stages.exporting import TELLINGS
from cnp_engine.stages.healing import called_for, load_healing
from cnp_engine.stages.session import reopen
from cnp_engine.steps import result
from tests.engine.pipeline.conftest import TARGETED, demo_config, drive, finished
from tests.engine.pipeline.test_viewed import Run, ask, state

RUINED = 60
"""So many pruned that half of the answers is another: there is something to heal."""

HEALED = ("healed.pth", "healed.safetensors")


def change(run: RunDirectory, text: str) -> None:
    """Another setting for a run that is there, past what guards against it."""
    key, value = text.split(".")[1].split("=")
    config = run.path / CONFIG
    lines = config.read_text().splitlines()
    heal = lines.index("[heal]")
    at = next(i for i in range(heal, len(lines)) if lines[i].startswith(f"{key} ="))
    lines[at] = f"{key} = {value}"
    config.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def healed(few: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that heals in a few steps and has come to its end."""
    sets = (*TARGETED, f"data={few}", "heal.when=always", "heal.steps=40", "heal.batch=16")
    place = tmp_path_factory.mktemp("runs") / "healed"
    store = RunDirectory.create(place, demo_config("demo_model.pth", *sets))
    drive(store)
    return store


@pytest.fixture
def run(healed: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of it, to do as one likes with."""
    shutil.copytree(healed.path, tmp_path / "run")
    return RunDirectory.open(tmp_path / "run")


def test_a_run_that_heals_says_so_beside_what_pruning_came_to(run: RunDirectory) -> None:
    events = [record.value for record in run.events().read()]
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    assert started == ["load", "target", "trigger", "scores", "sweep", "heal", "export"]
    said = next(event for event in events if isinstance(event, Healed))
    pruned = next(event for event in events if isinstance(event, Remeasured))
    assert events.index(pruned) < events.index(said)
    summary = finished(events).summary
    assert summary["healed"]["kept"] == said.kept
    assert summary["healed"]["retention"] == said.label_free.retention.value  # type: ignore[union-attr]
    assert summary["seconds"]["heal"] > 0
    assert all((run.exports / name).exists() == said.kept for name in HEALED)


def test_another_worker_takes_over_what_was_healed(run: RunDirectory, tmp_path: Path) -> None:
    before = run.artifact("healed.safetensors").read_bytes()
    (run.path / "summary.json").unlink()
    events = drive(run)
    done = [e for e in events if isinstance(e, StageFinished) and e.stage == "heal"]
    assert [event.restored for event in done] == [True]
    assert run.artifact("healed.safetensors").read_bytes() == before


def test_what_is_written_is_the_share_that_is_said(run: RunDirectory) -> None:
    """The same steps again, then by hand what lies so far between pruned and taught."""
    session = reopen(run.config, run, state(run))
    material, given, k = session.material, run.config.heal, session.curve.chosen.k
    written = load_healing(material, session.scores.order_N, k)
    assert written is not None
    assert written.event.share in SHARES
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["healed"]["share"] == written.event.share
    mask_N = pruned_mask(session.scores.order_N, k)
    plan = HealPlan(given.steps, given.batch, given.lr, given.flip)
    draws = runtime.generator(run.config.seed, "heal")
    taught = result(
        heal(material.network, mask_N, material.optimise, session.triggers.strong, plan, draws)
    )
    parts = torch.split(mask_N, [channels for _, channels in material.layers])
    for (name, _), part in zip(material.layers, parts, strict=True):
        was = material.network.module.get_parameter(f"{name}.weight") * part
        now = taught.module.get_parameter(f"{name}.weight")
        wanted = was + written.event.share * (now - was)
        torch.testing.assert_close(written.tensors[f"{name}.weight"], wanted)


def test_what_was_healed_before_shares_were_known_was_taken_whole(run: RunDirectory) -> None:
    path = run.artifact("healed.json")
    told = json.loads(path.read_text())
    del told["share"]
    path.write_text(json.dumps(told))
    session = reopen(run.config, run, state(run))
    found = load_healing(session.material, session.scores.order_N, session.curve.chosen.k)
    assert found is not None
    assert found.event.share == 1.0


def test_a_run_that_does_not_heal_says_nothing_of_it(whole: Run) -> None:
    store, events = whole
    assert not any(isinstance(event, Healed) for event in events)
    assert finished(events).summary["healed"] is None
    assert not any((store.exports / name).exists() for name in HEALED)


def point(k: int, retention: float, residual: float) -> CurvePoint:
    """A point of a curve."""
    free = LabelFree(Rate(retention, 300, 0.0, 1.0), Rate(residual, 260, 0.0, 1.0))
    return CurvePoint(k, 0.1, free)


@pytest.mark.parametrize(
    ("pruned", "called"),
    [
        (point(12, 0.97, 0.01), False),
        (point(12, 0.95, 0.05), False),
        (point(12, 0.94, 0.01), True),
        (point(12, 0.97, 0.06), True),
        (point(0, 1.0, 0.99), True),
    ],
)
def test_a_run_heals_by_itself_where_pruning_falls_short(pruned: CurvePoint, called: bool) -> None:
    assert called_for(HealSettings(), pruned) is called
    assert called_for(HealSettings(when="always"), pruned)
    assert not called_for(HealSettings(when="never"), pruned)


def test_any_number_of_neurons_is_healed_on_request(run: RunDirectory) -> None:
    """The file is the pruned model with other weights: what is pruned in it is still nothing."""
    said = ask(run, Export(RUINED, ("pth", "healed")))
    told = [event for event in said if isinstance(event, Progress)]
    assert all(event.asked for event in told)
    steps = run.config.heal.steps
    assert [(e.done, e.total) for e in told if e.stage == "heal"][-1] == (steps, steps)
    assert 2 <= [event.label for event in told].count("measuring") <= 2 * (TELLINGS + 1)
    assert state(run).asked is None
    found = state(run).healed
    assert found is not None
    assert found.kept
    assert (found.k, found.path) == (RUINED, str(run.exports / "healed.pth"))
    assert found.sha256 == file_digest(found.path)[1]
    assert found.measured.ba is not None
    pruned, healed = (
        read_checkpoint(run.exports / f"{n}.pth").state for n in ("purified", "healed")
    )
    assert pruned.keys() == healed.keys()
    gone = 0
    for name, tensor in pruned.items():
        assert healed[name].dtype == tensor.dtype
        if name.endswith((".running_mean", ".running_var")):
            assert torch.equal(healed[name], tensor)
        if name.endswith("weight") and tensor.ndim == 1:
            gone += int((tensor == 0).sum())
            assert not bool(healed[name][tensor == 0].any())
    assert gone == RUINED
    changed = {name for name, tensor in pruned.items() if not torch.equal(tensor, healed[name])}
    assert changed
    norms = {name for name, tensor in pruned.items() if tensor.ndim == 1 and "linear" not in name}
    assert changed <= norms, "BatchNorm alone"
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["healed"]["ba"] == found.measured.ba.value
    assert str(run.exports / "healed.pth") in summary["exports"]
    text = (run.exports / "report.md").read_text()
    assert "Healed" in text


def test_what_was_healed_does_not_outlive_its_choice(run: RunDirectory) -> None:
    """It goes with another export that does not ask for it, and where nothing is gained."""
    ask(run, Export(RUINED, ("healed",)))
    assert all((run.exports / name).exists() for name in HEALED)
    ask(run, Export(RUINED - 1, ("pth",)))
    assert not any((run.exports / name).exists() for name in HEALED)
    assert state(run).healed is None
    ask(run, Export(RUINED, ("healed",)))
    change(run, "heal.lr=0.0")  # learns nothing, so nothing is gained
    ask(RunDirectory.open(run.path), Export(RUINED - 1, ("healed",)))
    found = state(run).healed
    assert found is not None
    assert not found.kept
    assert not any((run.exports / name).exists() for name in HEALED)
    assert json.loads((run.path / "summary.json").read_text())["healed"]["kept"] is False


def test_where_nothing_is_pruned_the_checkpoint_itself_is_healed(few: Path, tmp_path: Path) -> None:
    """Nothing that pruning could gain is told from noise here."""
    sets = (
        *TARGETED,
        f"data={few}",
        "sweep.noise=1.0",
        "sweep.price=0.0",
        "heal.when=auto",
        "heal.steps=40",
    )
    store = RunDirectory.create(tmp_path / "run", demo_config("demo_model.pth", *sets))
    events = drive(store)
    assert not any(isinstance(event, Remeasured) for event in events)
    said = next(event for event in events if isinstance(event, Healed))
    assert (said.k, said.kept) == (0, True)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert any("A healed model follows" in text for text in warned)
    assert said.path == str(store.exports / "healed.pth")
    assert not (store.exports / "purified.pth").exists()
    summary = finished(events).summary
    assert summary["healed"]["ba"] is not None
    assert said.path in summary["exports"]
    text = (store.exports / "report.md").read_text()
    assert "nothing was pruned" in text
    assert "Healed in 40 steps" in text


def test_a_copy_elsewhere_leaves_the_run_as_it_was(run: RunDirectory, tmp_path: Path) -> None:
    before = state(run).healed
    ask(run, Export(RUINED, ("healed",), str(tmp_path / "elsewhere")))
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == set(HEALED)
    assert state(run).healed == before


def test_a_run_killed_while_it_heals_heals_the_same(
    healed: RunDirectory, few: Path, tmp_path: Path
) -> None:
    """Before its artifact it begins again, with the same draws; after it, it is taken over."""
    events = [record.value for record in healed.events().read()]
    begun = next(
        i for i, e in enumerate(events) if isinstance(e, StageStarted) and e.stage == "heal"
    )
    done = next(
        i for i, e in enumerate(events) if isinstance(e, StageFinished) and e.stage == "heal"
    )
    for number, moment in enumerate((begun + 2, done + 1)):
        place = tmp_path / str(number)
        shutil.copytree(healed.path, place)
        run = RunDirectory.open(place)
        for name in (
            "summary.json",
            *(f"exports/{path.name}" for path in healed.exports.iterdir()),
        ):
            (place / name).unlink()
        if moment <= done:
            run.artifact("healed.json").unlink()
            run.artifact("healed.safetensors").unlink()
        log = place / "events.jsonl"
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:moment]))
        drive(run)
        for name in ("healed.safetensors", "healed.json"):
            assert run.artifact(name).read_bytes() == healed.artifact(name).read_bytes(), name
        again = json.loads((place / "summary.json").read_text())["healed"]
        assert again == json.loads((healed.path / "summary.json").read_text())["healed"]


def test_an_order_that_is_another_by_now_is_healed_anew(run: RunDirectory) -> None:
    """Scores that were made again may prune others, as many as they are."""
    session = reopen(run.config, run, state(run))
    k, order_N = session.curve.chosen.k, session.scores.order_N
    assert load_healing(session.material, order_N, k) is not None
    assert load_healing(session.material, order_N.flip(0), k) is None
    assert load_healing(session.material, order_N, k + 1) is None


def test_the_command_heals_a_finished_run_elsewhere(whole: Run, tmp_path: Path) -> None:
    """With figures of both; into the run's own exports only what its log tells of."""
    shutil.copytree(whole[0].path, tmp_path / "run")
    store = RunDirectory.open(tmp_path / "run")
    told: list[str] = []
    found = export_run(str(store.path), ["healed"], str(tmp_path / "to"), told.append)
    steps = store.config.heal.steps
    assert f"heal {steps} of {steps}" in told, "it takes minutes: how far it is, is said"
    assert found["healed"]["steps"] == store.config.heal.steps
    assert found["before"]["retention"] is not None
    assert found["before"]["ba"] is not None
    written = [str(tmp_path / "to" / name) for name in HEALED] if found["healed"]["kept"] else []
    assert found["exports"] == written
    with pytest.raises(SettingInvalid, match="tells of no healed model"):
        export_run(str(store.path), ["healed"])
    assert not any((store.exports / name).exists() for name in HEALED)


def test_a_copy_is_not_in_the_runs_own_report(run: RunDirectory, tmp_path: Path) -> None:
    report_run(str(run.path))
    before = measured((run.exports / "report.md").read_text())
    ask(run, Export(RUINED, ("pth", "healed"), str(tmp_path / "elsewhere")))
    report_run(str(run.path))
    assert measured((run.exports / "report.md").read_text()) == before


def measured(text: str) -> list[str]:
    """What a report says of models."""
    return [line for line in text.splitlines() if line.startswith(("| BA", "| ASR", "| Retention"))]
