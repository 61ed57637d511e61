"""The command that carries out a grid of runs: bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnp_tui import options as o

Grid = Annotated[Path, typer.Argument(metavar="GRID.toml", help="What is to be run.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the bench; ./bench-NAME of the grid by default."),
]

HELP = """Attacks, networks, poison rates, clean images and seeds of a grid: one table of all.

Models are trained by `cnp poison`, each once, or exist already. Every cell is a run of its own,
one after another; the known attack measures and never decides. The same command goes on where one
was stopped: finished cells are skipped, failed ones tried again. DIR gets bench.md, bench.csv and
bench.json, written anew after every cell, runs/ and models/. Exit code 5 where a cell failed.

A grid; paths are relative to it:

\b
  data = "demo"                 # as cnp run --data takes it
  clean = [100, 1000]           # clean images            [default: 1000]
  seeds = [0]                   # seeds of the runs       [default: 0]

\b
  [models]                      # trained here; each list is an axis
  attacks = ["badnets", "wanet"]
  architectures = ["resnet18"]  # [default: resnet18]
  widths = [16]                 # [default: the network's own]
  rates = [0.1, 0.0]            # 0.0 is the clean twin, one for all attacks
  targets = [0]                 # also: goals, train_seeds; for all models
  epochs = 15                   # alike: images, batch, lr, normalize, flip

\b
  [[model]]                     # exists already; as many as you like
  name = "mine"
  file = "mine.pth"
  attack = "mine.toml"          # left out: a clean model
                                # also: target, arch, normalize

\b
  [set]                         # settings of every run
  "masks.rounds" = 10

\b
  [bars]                        # what the means are held against
  asr = 0.02                    # at most: asr, ba_drop, ra_gap, residual,
  ba_drop = 0.015               #   pruned, seconds, false_alarms
  target_right = 0.9            # at least: verdict_right, target_right
  [bars.100]                    # at 100 clean images, the others as above
  asr = 0.05
"""


def bench(
    grid: Grid,
    out: Out = None,
    device: o.Device = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    from cnp_tui import benching, jobs

    raise typer.Exit(benching.bench(grid, out, device, jobs.Manner(as_json, quiet)))


def register(app: typer.Typer) -> None:
    app.command("bench", help=HELP, short_help=HELP.partition("\n")[0])(bench)
