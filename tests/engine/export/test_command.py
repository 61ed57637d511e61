"""The command of a report gives the same configuration back."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from cnp_engine.config import MaskSettings, RunConfig, SweepSettings
from cnp_engine.export.command import OPTIONS, command_line


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
            RunConfig(
                "m",
                "d",
                preset="reference",
                masks=MaskSettings(steps=1200, lr=0.2),
                sweep=SweepSettings(max_fraction=0.1),
            ),
            "cnp run --model m --data d --preset reference --set masks.steps=1200 "
            "--set masks.lr=0.2 --set sweep.max_fraction=0.1",
        ),
        (RunConfig("m", "d", normalize="-1,0,0/1,1,1"), "--normalize=-1,0,0/1,1,1"),
        (RunConfig("$(id);`id`&", "d"), "'$(id);`id`&'"),
        (RunConfig("a\nb\x1b[0m'\udcff", "d"), r"$'a\x0ab\x1b[0m\x27\xff'"),
    ],
)
def test_says_what_is_not_default(config: RunConfig, line: str) -> None:
    assert line in command_line(config)
    assert command_line(config).isprintable()


def test_reads_back_as_the_same_configuration() -> None:
    config = RunConfig(
        *("/m.pth", "d", "vgg16-bn", 10),
        clean=300,
        attack="/a.toml",
        targets=(3,),
        defense="anp",
        device="cuda:1",
        seed=5,
        until="verdict",
        masks=MaskSettings(lr=1.25, eps=0.3),
    )
    words = shlex.split(command_line(config))[2:]
    keys = {option: key for key, option in OPTIONS.items()}
    pairs = list(zip(words[::2], words[1::2], strict=True))
    sets = [value for option, value in pairs if option == "--set"]
    values = {keys[option]: value for option, value in pairs if option != "--set"}
    assert RunConfig.build(values, sets, env={}) == config


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to ask")
@pytest.mark.parametrize("model", ["a b", "it's", "a\nb\\'x\x1b", "$(touch x)"])
def test_shell_hands_over_the_very_bytes(model: str) -> None:
    line = command_line(RunConfig(model, "demo")).replace("cnp run", r"printf '%s\0'", 1)
    said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert said.split(b"\0")[1] == model.encode()
