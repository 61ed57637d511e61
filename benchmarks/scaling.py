"""How cost grows: whole runs over the number of clean images and over the network's width.

    python benchmarks/scaling.py                                    the embedded demo
    python benchmarks/scaling.py --model FILE --data SOURCE --attack FILE.toml

A wider network is the given one with every channel twice, four times ..., the weights that read
them halved, quartered ...: the same function, so that the runs differ in size and in nothing else.
Images vary at the given width, widths at the largest number of images; every run has an empty
image cache. Forward operations are counted, not estimated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks import run as whole  # noqa: E402  # the checkout, from any folder

if TYPE_CHECKING:
    from torch import Tensor

OPTIMISING = ("target", "trigger", "scores")


@dataclass(frozen=True)
class Case:
    """One run: the network ``times`` as wide, ``clean`` images."""

    times: int
    clean: int


def cases(widths: Sequence[int], cleans: Sequence[int]) -> list[Case]:
    most = max(cleans)
    return [Case(1, clean) for clean in cleans] + [Case(w, most) for w in widths if w != 1]


def widened(state: dict[str, Tensor], times: int) -> dict[str, Tensor]:
    """Every channel ``times``, what reads it divided by that; the images' three stay three."""
    wide = {}
    for name, value in state.items():
        inputs = times if value.ndim > 1 and value.shape[1] != 3 else 1
        outputs = 1 if value.ndim == 2 or not value.is_floating_point() else times
        outputs = 1 if name.endswith(("linear.bias", "fc.bias")) else outputs
        if not value.ndim:
            wide[name] = value
            continue
        repeats = [outputs, inputs, *[1] * (value.ndim - 2)][: value.ndim]
        wide[name] = value.float().repeat(repeats) / inputs
    return wide


def prepare(model: str, times: int, folder: Path) -> tuple[str, int, int]:
    """The wider checkpoint, its neurons, and the operations of one image's forward pass."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cnp_engine.models.checkpoint import read_checkpoint
    from cnp_engine.models.registry import load_model

    path = folder / f"times{times}.pth"
    torch.save(widened(dict(read_checkpoint(model).state), times), path)
    loaded = load_model(read_checkpoint(str(path)))
    height, width = loaded.architecture.input_size or (32, 32)
    counter = FlopCounterMode(display=False)
    with counter:
        loaded.module(torch.zeros(1, 3, height, width))
    return str(path), loaded.neurons, counter.get_total_flops()


def markdown(rows: Sequence[tuple[Case, int, int, whole.Result]]) -> str:
    head = ("width", "neurons", "Gflop a pass", "clean images", "optimising, s",
            "sweep, s", "load and export, s", "total, s", "optimising, s a Gflop",
            "sweep, s a Gflop and 1,000 images", "peak memory, MiB")  # fmt: skip
    lines = [whole.table_row(head), whole.table_row("---" for _ in head)]
    for case, neurons, flops, result in rows:
        spent = [sum(result.seconds(s) or 0 for s in group)
                 for group in (OPTIMISING, ("sweep",), ("load", "export"))]  # fmt: skip
        pass_ = flops / 1e9
        lines.append(whole.table_row([
            f"x {case.times}", f"{neurons:,}", f"{pass_:.3f}", f"{case.clean:,}",
            *(f"{s:.1f}" for s in spent), f"{result.seconds('total') or 0:.1f}",
            f"{spent[0] / pass_:.0f}", f"{spent[1] / pass_ / case.clean * 1000:.0f}",
            f"{result.mebibytes() or 0:.0f}",
        ]))  # fmt: skip
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """0 where every run ended well."""
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    assets = ROOT / "assets"
    parser.add_argument("--model", default=str(assets / "demo_model.pth"), metavar="FILE")
    parser.add_argument("--data", default="demo", metavar="SOURCE")
    parser.add_argument("--attack", default=str(assets / "demo_attack.toml"), metavar="FILE.toml")
    parser.add_argument("--clean", default="250,500,1000", help="[default: %(default)s]")
    parser.add_argument("--widths", default="1,2,4", help="[default: %(default)s]")
    given = parser.parse_args(argv)
    widths, cleans = ([int(n) for n in text.split(",")] for text in (given.widths, given.clean))
    rows, worst = [], 0
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        made = {times: prepare(given.model, times, Path(folder)) for times in {1, *widths}}
        for case in cases(widths, cleans):
            model, neurons, flops = made[case.times]
            job = whole.Job(
                model, given.data, given.attack, ("fast",), (0,), (f"clean={case.clean}",),
                Path(folder) / f"x{case.times}-{case.clean}",
            )  # fmt: skip
            job.out.mkdir()
            result = whole.execute(job, "fast", 0)
            sys.stderr.write(f"x {case.times}, {case.clean} images: {result.wall_s:.0f} s\n")
            worst = max(worst, result.exit_code)
            rows.append((case, neurons, flops, result))
    print(markdown(rows))
    return worst


if __name__ == "__main__":
    sys.exit(main())
