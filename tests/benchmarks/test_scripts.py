"""The benchmarks: their arithmetic on made-up runs, and one pass over what they start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import baseline, memory, run, scaling, schedule, startup, terminal
from benchmarks.run import Job, Result

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "run.py",
    "memory.py",
    "scaling.py",
    "startup.py",
    "schedule.py",
    "terminal.py",
    "slider.py",
)


def job(out: Path, **given: Any) -> Job:
    standard: dict[str, Any] = {
        "model": "model.pth", "data": "images", "attack": None,
        "presets": ("fast", "reference"), "seeds": (0, 1, 2), "sets": (),
    }  # fmt: skip
    return Job(**{**standard, **given}, out=out)


def result(preset: str, seed: int, scores: float, target: object = 3) -> Result:
    """A run that took ``scores`` seconds in that stage and 10 in all others together."""
    stages: dict[str, float | None] = dict.fromkeys(run.STAGES, 2.0)
    rates = {"ba": 0.9, "asr": 0.01, "ra": None}
    summary = {
        "verdict": "backdoored", "target": target, "before": {**rates, "asr": 1.0},
        "after": rates, "neurons": {"total": 600, "pruned": 6},
        "seconds": {**stages, "scores": scores, "total": scores + 10},
        "peak_memory_bytes": 2**30,
    }  # fmt: skip
    return Result(preset, seed, 0, scores + 12, 1.0, summary)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_it_does_and_imports_nothing_heavy_for_it(script: str) -> None:
    path = str(ROOT / "benchmarks" / script)
    asked = [sys.executable, "-X", "importtime", path, "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: {script}")
    assert "torch" not in done.stderr


def test_the_presets_of_a_seed_are_neighbours_and_take_turns_at_going_first(tmp_path: Path) -> None:
    assert list(job(tmp_path).plan()) == [
        ("fast", 0), ("reference", 0), ("reference", 1), ("fast", 1), ("fast", 2), ("reference", 2),
    ]  # fmt: skip


def test_ratios_are_taken_within_a_seed() -> None:
    runs = [
        *(result("fast", seed, s) for seed, s in enumerate((10.0, 40.0, 90.0))),
        *(result("reference", seed, s) for seed, s in enumerate((100.0, 100.0, 100.0))),
    ]
    assert run.medians(runs, "fast")["scores"] == 40.0
    assert run.ratio(runs, "fast", "reference", "scores") == pytest.approx(0.4)
    # a seed that one preset has not run counts for neither
    assert run.ratio(runs[:4], "fast", "reference", "scores") == pytest.approx(0.1)
    assert run.ratio(runs[:3], "fast", "reference", "scores") is None
    assert run.ratio(runs, "fast", "reference", "peak_mib") == 1.0


@pytest.mark.parametrize(
    ("found", "true", "right"),
    [(3, 3, True), (2, 3, False), ([2, 3], 3, True), (None, 3, False), (3, None, None)],
)
def test_the_true_target_is_compared_afterwards(
    found: object, true: int | None, right: bool | None
) -> None:
    assert result("fast", 0, 1.0, found).target_right(true) is right


def test_the_tables_and_the_file_say_the_same(tmp_path: Path) -> None:
    attack = tmp_path / "attack.toml"
    attack.write_text("target = 3\n")
    one = job(tmp_path, attack=str(attack), seeds=(0,))
    runs = [result("fast", 0, 30.0), result("reference", 0, 290.0), Result("fast", 1, 5, 1.0, 0.5)]
    run.save(one, runs)
    text = (tmp_path / "bench.md").read_text()
    row = "| fast | 0 | backdoored | yes | 90.00 -> 90.00 | 100.00 -> 1.00 | - -> - | 6 of 600 |"
    assert row in text
    assert "| total, s | 40.0 | 300.0 | 0.133 |" in text
    assert "| fast | 1 | failed with exit code 5 |" in text
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["ratios"]["fast/reference"]["total"] == pytest.approx(40 / 300)
    assert [r["target_right"] for r in kept["runs"]] == [True, True, None]


def test_results_of_one_seed_are_held_against_each_other(tmp_path: Path) -> None:
    plain = "fast+precision=float32"
    one = job(tmp_path, presets=("fast", plain), seeds=(0, 1))
    runs = [result("fast", 0, 30.0), result(plain, 0, 60.0, 4), result("fast", 1, 30.0)]
    apart = {"after.ba": [0.7, 0.8], "after.asr": [0.01, 0.02]}
    for r, intervals in zip(
        runs, ({"after.ba": [0.85, 0.95], "after.asr": [0.0, 0.01]}, apart), strict=False
    ):
        r.summary["evidence"] = {"intervals": intervals}
    runs[1].summary["neurons"] = {"total": 600, "pruned": 7}
    text = run.markdown(one, runs)
    rates = "90.00, 90.00 (APART) | 1.00, 1.00 (intervals meet)"
    assert f"| {plain} | 0 | 3, 4 | 6, 7 | {rates} |" in text
    assert f"| {plain} | 1 |" not in text  # nothing to hold it against


def test_settings_behind_a_preset_are_its_own(tmp_path: Path) -> None:
    words = ["--model", "nowhere.pth", "--data", "demo", "--presets", "fast,fast+masks.rounds=x"]
    assert run.main([*words, "--out", str(tmp_path / "out")]) == 3  # the first looks for the file
    told = (tmp_path / "out" / "bench.md").read_text()
    assert "| fast+masks.rounds=x | 0 | failed with exit code 2 |" in told


def test_a_run_that_fails_is_a_row_and_an_exit_code(tmp_path: Path) -> None:
    words = ["--model", "nowhere.pth", "--data", "demo", "--presets", "fast"]
    assert run.main([*words, "--out", str(tmp_path / "out")]) == 3
    assert "failed with exit code 3" in (tmp_path / "out" / "bench.md").read_text()


def test_starts_are_timed_in_turn() -> None:
    seconds = startup.measure({"nothing": ["-c", "pass"], "more": ["-c", "import json"]}, 2)
    assert {name: len(values) for name, values in seconds.items()} == {"nothing": 2, "more": 2}
    assert "| nothing | " in startup.markdown({"nothing": [0.02, 0.01, 0.03]})
    assert "| 20 | 10 | 20 |" in startup.markdown({"nothing": [0.02, 0.01, 0.03]})
    with pytest.raises(subprocess.CalledProcessError):
        startup.measure({"wrong": ["-c", "raise SystemExit(3)"]}, 1)


def test_steps_of_both_schedules_beside_their_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = tmp_path / "tiny.py"
    network.write_text(
        "from torch import nn\n\n\ndef make(num_classes: int = 3) -> nn.Module:\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),\n"
        "                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))\n"
    )
    space: dict[str, Any] = {}
    exec(network.read_text(), space)
    torch.save(space["make"]().state_dict(), tmp_path / "tiny.pth")
    images = tmp_path / "images"
    images.mkdir()
    for number in range(30):
        Image.new("RGB", (8, 8), (8 * number, 100, 255 - 8 * number)).save(images / f"{number}.png")
    assert schedule.main([
        "--model", str(tmp_path / "tiny.pth"), "--data", str(images), "--normalize", "none",
        "--steps", "2", "--set", f"arch={network}:make", "--set", "device=cpu",
    ]) == 0  # fmt: skip
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "|" in line][2:]
    stages = [(row[1].strip(), row[2].strip(), int(row[3]), int(row[8])) for row in rows]
    assert stages == [
        ("masks", "fast", 64, 80),
        ("masks", "reference", 128, 1200),
        # patches from two starts, 60 steps each and 60 of the better; blends 120; two warps of 40:
        # 540 + 360 + 240 steps of one search, six at a time
        ("ranking", "fast", 48, 190),
        ("reversal, one class and family", "fast", 96, 120),
        ("reversal, one class and family", "reference", 128, 800),
    ]


def test_the_extrapolation_is_preparation_and_median_steps() -> None:
    lane = schedule.Lane("masks", "fast", 64, 100, lambda: True, [5.0, 1.0, 3.0, 1.0])
    assert lane.median == 1.0
    assert lane.extrapolated == 5.0 + 99 * 1.0


def test_a_terminal_is_timed_and_its_bytes_are_counted() -> None:
    code = "import os, time; os.write(1, b'here'); time.sleep(0.2); os.write(1, b'x' * 100)"
    words = [sys.executable, "-c", f"{code}; input()"]
    screen = terminal.Screen(words, dict(os.environ))
    assert screen.wait_for("here") > screen.begun
    since = screen.painted
    screen.wait_for("x" * 100, since)
    assert screen.painted == since + 100
    screen.close()


def test_the_spread_of_times() -> None:
    spread = terminal.Spread(tuple(n / 100 for n in range(1, 101)))
    assert (spread.median, spread.p95) == (0.505, 0.95)
    assert "median 505, p95 950 ms | 500 ms" in terminal.paints(0.1, spread)
    assert "100 keys | median 505, p95 950 ms | 50 ms at p95" in terminal.answered("", spread)


def test_the_scripts_way_takes_nine_passes_and_two_backward_calls_and_measures_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = baseline.parse(["--no-run", "--test", "60", "--clean", "100"])
    material, truth = baseline.prepared(given, tmp_path)
    scripts, calls = baseline.Baseline(material), {"forward": 0, "backward": 0}
    for network in (scripts.network, scripts.original):
        network.register_forward_hook(lambda *_: calls.update(forward=calls["forward"] + 1))
    backward = torch.autograd.backward

    def counted(*given: Any) -> None:
        calls["backward"] += 1
        backward(*given)

    monkeypatch.setattr(torch.autograd, "backward", counted)
    scripts.step()
    assert calls == {"forward": 9, "backward": 2}
    assert min(float(norm.mask.detach().min()) for norm in scripts.norms) < 1
    assert all(p.grad is not None for p in scripts.network.parameters())
    order = torch.arange(material.network.neurons)
    files = baseline.Files(truth)
    theirs = baseline.swept(material, files, order, [0, 40])
    ours = baseline.engine_swept(material, truth, order, [0, 40])
    assert theirs[0][0] - theirs[1][0] > 0.2, "so many neurons in a row cost accuracy"
    assert np.allclose(theirs, ours, atol=0.04)


def test_a_whole_repair_the_scripts_way_is_the_sum_of_its_steps() -> None:
    times = baseline.Times(1.0, 2.0, 3.0, 4.0, 84.0, 1.0, 8.0, 60.0, images=300)
    assert times.baseline_whole == 3 * 1 + 800 * 2 + 1200 * 3 + 51 * 4


def test_a_widened_network_computes_the_same(tmp_path: Path) -> None:
    from cnp_engine.models.checkpoint import read_checkpoint
    from cnp_engine.models.registry import load_model

    given = str(ROOT / "assets" / "demo_model.pth")
    wide, neurons, flops = scaling.prepare(given, 2, tmp_path)
    one, two = (load_model(read_checkpoint(path)) for path in (given, wide))
    assert neurons == 2 * one.neurons
    assert flops > 3 * scaling.prepare(given, 1, tmp_path)[2]
    x = torch.rand((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(two.module(x), one.module(x), atol=1e-3, rtol=1e-3)


def test_a_plain_step_is_measured_and_a_run_held_against_it() -> None:
    asked = [sys.executable, str(ROOT / "benchmarks" / "memory.py"), "--plain", json.dumps(
        {"model": str(ROOT / "assets" / "demo_model.pth"), "data": "demo", "sets": []}
    )]  # fmt: skip
    found = memory.Plain(
        **json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    )
    # three triggers on 32 images each; ten classes' patches, from both starts in two batches, 80
    assert found.images == 3 * 32
    assert 0 < found.before < found.peak
    assert found.data == 1000 * 3 * 32 * 32
    assert found.ratio(2 * (found.peak + found.data)) == 2.0
