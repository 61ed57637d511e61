"""``cnp poison`` as it is called: what lies in the folder, killed and called again, refused."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from cnp_engine.data.attack_file import load_attack
from cnp_engine.errors import CnpError, DataMismatch, RunDamaged, RunExists, RunLocked
from cnp_engine.lock import hold
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.registry import load_model
from cnp_engine.training import job
from cnp_engine.training.plan import ATTACKS, TrainingPlan

PLAN = TrainingPlan(
    "badnets", "demo", width=8, targets=(1,), images=300, epochs=1, batch=32, flip=False
)


def _poison(plan: TrainingPlan, out: Path) -> dict[str, Any]:
    return job.poison(plan, out, "cpu", "float32", lambda text: None)


def _command(out: Path, *more: str) -> list[str]:
    words = ["poison", "--attack", "badnets", "--data", "demo", "--width", "8", "--target", "1"]
    words += ["--images", "300", "--batch", "32", "--out", str(out), "--device", "cpu"]
    return [sys.executable, "-m", "cnp_tui", *words, *more]


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_trains_and_is_described_completely(attack: str, tmp_path: Path) -> None:
    result = _poison(dataclasses.replace(PLAN, attack=attack), tmp_path / "m")
    assert {p.name for p in (tmp_path / "m").iterdir()} >= {"model.pth", "attack.toml", "plan.json"}
    assert not (tmp_path / "m" / job.UNFINISHED).exists()
    loaded = load_model(read_checkpoint(tmp_path / "m" / "model.pth"))
    assert (loaded.architecture.classes, loaded.neurons) == (10, 600)
    described = load_attack(tmp_path / "m" / "attack.toml", (32, 32), 10)
    assert described.target == 1
    images = torch.rand(4, 3, 32, 32)
    assert not torch.equal(described.stamp(images), images)
    assert 0 <= result["asr"] <= 1
    assert result["n"] == 1000
    assert json.loads((tmp_path / "m" / "poison.json").read_text()) == json.loads(
        json.dumps(result)
    )


def test_a_clean_twin_has_no_attack(tmp_path: Path) -> None:
    result = _poison(dataclasses.replace(PLAN, rate=0.0), tmp_path / "m")
    assert result["attack"] is None
    assert result["asr"] is None
    assert not (tmp_path / "m" / "attack.toml").exists()


def test_all_to_all_and_several_targets_are_measured_as_such(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, goal="all-to-all")
    _poison(plan, tmp_path / "all")
    labels = torch.arange(10)
    attack = load_attack(tmp_path / "all" / "attack.toml", (32, 32), 10)
    images = torch.rand(10, 3, 32, 32)
    assert attack.aims(images, labels).tolist() == [*range(1, 10), 0]
    _poison(dataclasses.replace(PLAN, targets=(1, 4)), tmp_path / "several")
    attack = load_attack(tmp_path / "several" / "attack.toml", (32, 32), 10)
    assert set(attack.aims(torch.rand(50, 3, 32, 32), labels.repeat(5)).tolist()) == {1, 4}


def test_done_is_done_and_other_settings_are_refused(tmp_path: Path) -> None:
    first = _poison(PLAN, tmp_path / "m")
    assert _poison(PLAN, tmp_path / "m") == json.loads(json.dumps(first))
    with pytest.raises(RunExists, match="other settings"):
        _poison(dataclasses.replace(PLAN, seed=1), tmp_path / "m")
    (tmp_path / "m" / "plan.json").write_text("{")
    with pytest.raises(RunDamaged):
        _poison(PLAN, tmp_path / "m")


def test_a_folder_that_is_none_of_its_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(RunExists, match="no training"):
        _poison(PLAN, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_two_trainings_of_one_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "m"
    out.mkdir()
    job._Job(PLAN, out, "cpu", "float32", lambda text: None).claim()
    with hold(out / "lock"), pytest.raises(RunLocked):
        _poison(PLAN, out)


def test_data_without_splits_or_labels_is_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(DataMismatch, match="no labelled train and test images"):
        _poison(dataclasses.replace(PLAN, data=str(pictures)), tmp_path / "m")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"targets": (10,)}, "no class of data with 10 classes"),
        ({"rate": 0.001}, "leaves none to poison"),
        ({"options": {"side": 40}}, "larger than the image"),
        ({"options": {"sides": 3}}, "unknown key"),
        ({"options": {"size": 3}}, "no parameter of an attack"),
        ({"arch": "resnet19"}, "no architecture"),
        ({"normalize": "auto"}, "--normalize"),
        ({"normalize": "cifar"}, "no known normalisation"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(CnpError, match=r".+\. .+") as caught:
        _poison(dataclasses.replace(PLAN, **changed), tmp_path / "m")
    assert said in str(caught.value)


def test_a_killed_training_goes_on_and_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    monkeypatch.setattr(job, "SAVE_EVERY_S", 0.0)
    plan = dataclasses.replace(PLAN, epochs=3)
    _poison(plan, whole)
    saved = job._Job._save

    def save_and_die(self: job._Job, state: Any) -> None:
        saved(self, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(job._Job, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        _poison(plan, cut)
    monkeypatch.setattr(job._Job, "_save", saved)
    assert (cut / job.UNFINISHED).is_file()
    _poison(plan, cut)
    states = [read_checkpoint(folder / "model.pth").state for folder in (whole, cut)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m"
    out.mkdir()
    job._Job(PLAN, out, "cpu", "float32", lambda text: None).claim()
    (out / job.UNFINISHED).write_bytes(b"half")
    with pytest.raises(RunDamaged, match="begin this training again"):
        _poison(PLAN, out)


def test_the_command_prints_one_object_and_figures_agree_with_eval(tmp_path: Path) -> None:
    out = tmp_path / "m"
    done = subprocess.run(
        _command(out, "--epochs", "1", "--json", "--quiet"), capture_output=True, check=True
    )
    found = json.loads(done.stdout)
    assert done.stderr == b""
    words = ["eval", "--model", str(out / "model.pth"), "--data", "demo", "--json"]
    words += ["--attack", str(out / "attack.toml"), "--normalize", "none"]
    again, silent = (
        subprocess.run(
            [sys.executable, "-m", "cnp_tui", *words, *more], capture_output=True, check=True
        )
        for more in ([], ["--quiet"])
    )
    assert again.stderr.decode().startswith("measuring ")
    assert (silent.stderr, silent.stdout) == (b"", again.stdout)
    measured = json.loads(again.stdout)
    assert {key: found[key] for key in ("ba", "asr", "ra", "n")} == {
        key: measured[key] for key in ("ba", "asr", "ra", "n")
    }


def test_ctrl_c_ends_it_and_leaves_nothing_at_work(tmp_path: Path) -> None:
    out = tmp_path / "m"
    with subprocess.Popen(
        _command(out, "--epochs", "500"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:  # fmt: skip
        deadline = time.monotonic() + 120
        while not (out / "plan.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=120)
    assert child.returncode == 130
    assert b"Traceback" not in said
    with hold(out / "lock", patience_s=20.0):
        assert not (out / "poison.json").exists()
