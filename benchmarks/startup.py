"""How long the command line keeps people waiting: help, inspection, imports.

    python benchmarks/startup.py                    the demo's checkpoint, and one of 45 MB
    python benchmarks/startup.py --model FILE -n 20

Commands take turns, each in processes of its own, so that a busy moment costs all of them. The
first turn is shown apart: it may read from the disk what later ones find in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

IMPORTS = {
    "python alone": "pass",
    "import cnp_tui.cli": "import cnp_tui.cli",
    "import cnp_engine.launch": "import cnp_engine.launch",
    "import torch": "import torch",
    "import cnp_engine.pipeline": "import cnp_engine.pipeline",
}
"""What a start is made of; the engine's own share of the last is over that of torch."""

LARGE = (
    "import sys, torch, torchvision as v; torch.save(v.models.resnet18().state_dict(), sys.argv[1])"
)
"""A ResNet-18 as torchvision has it, 45 MB, of random weights."""


def measure(commands: Mapping[str, Sequence[str]], turns: int) -> dict[str, list[float]]:
    """Wall seconds of every command, in turn. Raises CalledProcessError where one fails."""
    env = {**os.environ}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, words in commands.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, *words], env=env, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def commands(model: Path, large: Path | None) -> dict[str, list[str]]:
    """Name in the table to arguments of Python."""
    chosen = {"cnp --help": ["-m", "cnp_tui", "--help"]}
    for file in (model, large):
        if file is not None:
            size = file.stat().st_size / 1e6
            chosen[f"cnp inspect, {size:.1f} MB"] = ["-m", "cnp_tui", "inspect", str(file)]
    return chosen | {name: ["-c", code] for name, code in IMPORTS.items()}


def markdown(seconds: Mapping[str, Sequence[float]]) -> str:
    rows = ["| | median, ms | least | first turn |", "|---|---|---|---|"]
    for name, values in seconds.items():
        figures = (statistics.median(values), min(values), values[0])
        rows.append(f"| {name} | " + " | ".join(f"{1000 * value:.0f}" for value in figures) + " |")
    count = len(next(iter(seconds.values())))
    return "\n".join([*rows, "", f"{count} turns; Python {platform.python_version()}, "
                      f"{platform.platform()}, {os.cpu_count()} CPUs seen, load "
                      f"{os.getloadavg()[0]:.1f}."])  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, metavar="FILE",
                        default=ROOT / "assets" / "demo_model.pth",
                        help="checkpoint to inspect; the demo's by default")  # fmt: skip
    parser.add_argument("-n", type=int, default=9, dest="turns", help="[default: %(default)s]")
    parser.add_argument("--small", action="store_true", help="leave the 45 MB checkpoint out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every time, as JSON")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="cnp-bench-") as folder:
        large = None if given.small else Path(folder) / "large.pth"
        if large is not None:
            subprocess.run([sys.executable, "-c", LARGE, str(large)], check=True)
        seconds = measure(commands(given.model, large), max(1, given.turns))
    print(markdown(seconds))
    if given.json:
        given.json.write_text(json.dumps({"seconds": seconds}, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
