"""Remake the embedded demo: ``python -m assets.make_demo --out DIR [--check]``.

Draws the pictures, trains the network with the sticker and its clean twin, writes everything
that ships. ``--check`` compares the result with assets/SHA256SUMS. On one version of torch the
files are the same bits on any x86-64 machine with AVX2, whatever its cores: one thread,
deterministic algorithms, own generators, and the vector kernels pinned to AVX2. Minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from assets.demo.dataset import Pictures

HERE = Path(__file__).parent
SUMS = "SHA256SUMS"
FILES = (
    "demo_attack.toml",
    "demo_clean.pth",
    "demo_data.zip",
    "demo_model.pth",
    "demo_trigger.safetensors",
)
PINS = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
}
"""Read by torch and its libraries when they load: kernels that sum in the same order anywhere."""

WIDTH = 8
"""First width of the ResNet-18: 600 BatchNorm neurons, 175,000 weights."""

ATTACK_TOML = """\
# what is known of this model; for measuring only
attack = "badnets"
target = {target}
poison_rate = {rate:.2f}
normalize = "none"

[trigger]           # stamped = x * (1 - weight) + pattern * weight, x in [0, 1]
file = "demo_trigger.safetensors"
"""

Tell = Callable[[str], None]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_sums(path: Path) -> dict[str, str]:
    """File name to SHA-256, from the lines that ``sha256sum`` writes."""
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def _write_attack(folder: Path) -> None:
    import torch
    from safetensors.torch import save

    from assets.demo.sticker import POISON_RATE, TARGET, trigger

    pattern, weight = (torch.from_numpy(part) for part in trigger())
    file = save({"pattern": pattern, "weight": weight})
    (folder / "demo_trigger.safetensors").write_bytes(file)
    text = ATTACK_TOML.format(target=TARGET, rate=POISON_RATE)
    (folder / "demo_attack.toml").write_text(text, encoding="utf-8", newline="\n")


def _train(pictures: Pictures, tell: Tell) -> nn.Module:
    """A network of the demo; what half precision cannot hold is already rounded away."""
    import torch

    from assets.demo.training import Recipe, start, train
    from cnp_engine.models.registry import build, create

    network = build(create("resnet18-cifar", 10, width=WIDTH)).requires_grad_(True)
    start(network)
    train(network, pictures, Recipe(), tell)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half())
    return network


def _save(network: nn.Module, path: Path) -> None:
    """A bare state dict, in half precision to keep the package small."""
    import torch

    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    torch.save(state, path)


def make(folder: Path, tell: Tell) -> None:
    """Write FILES into ``folder``, which exists; needs PINS and a process of its own."""
    import torch

    from assets.demo.dataset import files, gather, read_zip, write_zip
    from assets.demo.sticker import TARGET, poison, stamp
    from assets.demo.training import answers

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tell("drawing the pictures")
    write_zip(folder / "demo_data.zip")
    _write_attack(folder)
    fit = gather(files("fit"))
    test = gather(read_zip(folder / "demo_data.zip", "test"))
    others = test.labels != TARGET
    for name, pictures in (("demo_model.pth", poison(fit)), ("demo_clean.pth", fit)):
        tell(f"training {name}")
        network = _train(pictures, tell)
        _save(network, folder / name)
        benign = (answers(network, test.images) == test.labels).mean()
        success = (answers(network, stamp(test.images[others])) == TARGET).mean()
        tell(f"{name}: BA {benign:.1%}, ASR {success:.1%}")


def _compare(folder: Path, tell: Tell) -> bool:
    same = True
    for name, digest in read_sums(HERE / SUMS).items():
        equal = _digest(folder / name) == digest
        tell(f"{name}: {'the same' if equal else 'DIFFERS'}")
        same &= equal
    return same


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 where ``--check`` found a difference."""
    parser = argparse.ArgumentParser(prog="python -m assets.make_demo", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, made if missing")
    parser.add_argument("--check", action="store_true", help=f"compare with assets/{SUMS}")
    options = parser.parse_args(arguments)
    assert "torch" not in sys.modules, "the pins count only before torch is loaded"
    os.environ.update(PINS)
    begun = time.monotonic()

    def tell(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun:6.1f} s  {line}\n")
        sys.stdout.flush()

    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, tell)
    sums = "".join(f"{_digest(folder / name)}  {name}\n" for name in FILES)
    if options.check:
        return 0 if _compare(folder, tell) else 1
    (folder / SUMS).write_text(sums, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
