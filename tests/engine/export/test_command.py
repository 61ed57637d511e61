"""The command of a report gives the same configuration back."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import MISSING
from typing import Any, get_args

import pytest

from cnp_engine import settings
from cnp_engine.config import PRESETS, RunConfig
from cnp_engine.export.command import OPTIONS, command_line


def build(values: dict[str, Any]) -> RunConfig:
    return RunConfig.build({"model": "m", "data": "d", **values}, env={})


def read_back(line: str) -> RunConfig:
    """The configuration that the options of ``line`` make."""
    words = shlex.split(line)[2:]
    keys = {option: key for key, option in OPTIONS.items()}
    pairs = list(zip(words[::2], words[1::2], strict=True))
    sets = [value for option, value in pairs if option == "--set"]
    values = {keys[option]: value for option, value in pairs if option != "--set"}
    return RunConfig.build(values, sets, env={})


def other(key: str, preset: str) -> Any:
    """A value the setting may have that is not the one it has; some have but one."""
    item = settings.catalogue(RunConfig)[key]
    now, members = PRESETS[preset].get(key, item.default), get_args(item.hint)
    if key == "preset" or now is MISSING:
        return preset if key == "preset" else "another one"
    if isinstance(now, bool):
        return not now
    if isinstance(now, int):
        return now + 1
    if isinstance(now, float):
        return now + 0.5 if item.high is None else (now + (item.high if now == 0 else 0)) / 2
    if isinstance(now, tuple):
        return now[:1] or (3, 5)
    if str in members or int in members:
        return 7 if int in members else "7"
    return next((member for member in members if member != now), "7")


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (RunConfig("m.pth", "demo"), "cnp run --model m.pth --data demo"),
        (
            RunConfig("/a b/it's.pth", "cifar10:/d", seed=3, targets=(0, 7), clean_dir="/c"),
            "cnp run --model '/a b/it'\"'\"'s.pth' --data cifar10:/d --clean-dir /c "
            "--target 0,7 --seed 3",
        ),
        (
            build({"masks.lr": 1.25, "sweep.max_fraction": 0.1}),
            "cnp run --model m --data d --set masks.lr=1.25 --set sweep.max_fraction=0.1",
        ),
        (RunConfig("m", "d", normalize="-1,0,0/1,1,1"), "--normalize=-1,0,0/1,1,1"),
        (RunConfig("$(id);`id`&", "d"), "'$(id);`id`&'"),
        (RunConfig("a\nb\x1b[0m'\udcff", "d"), r"$'a\x0ab\x1b[0m\x27\xff'"),
    ],
)
def test_says_what_is_not_default(config: RunConfig, line: str) -> None:
    assert line in command_line(config)
    assert command_line(config).isprintable()


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize(
    "key",
    [key for key, item in settings.catalogue(RunConfig).items() if len(get_args(item.hint)) != 1],
)
def test_every_setting_reads_back(key: str, preset: str) -> None:
    config = build({"preset": preset, key: other(key, preset)})
    assert read_back(command_line(config)) == config


def test_a_preset_is_not_spelled_out_but_what_leaves_it_is() -> None:
    assert command_line(build({"preset": "reference"})) == (
        "cnp run --model m --data d --preset reference"
    )
    (key, *_) = PRESETS["reference"]
    default = settings.catalogue(RunConfig)[key].default
    line = command_line(build({"preset": "reference", key: default}))
    assert line.endswith(f"--preset reference --set {key}={settings.show(default)}")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to ask")
@pytest.mark.parametrize("model", ["a b", "it's", "a\nb\\'x\x1b", "$(touch x)"])
def test_shell_hands_over_the_very_bytes(model: str) -> None:
    line = command_line(RunConfig(model, "demo")).replace("cnp run", r"printf '%s\0'", 1)
    said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert said.split(b"\0")[1] == model.encode()
