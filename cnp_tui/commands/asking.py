"""Commands that look at a model and change nothing: inspect, eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnp_tui import options as o

File = Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint.")]
Needed = Annotated[str, typer.Option(metavar="FILE", help="Checkpoint to measure.")]
Source = Annotated[str, typer.Option(metavar="SOURCE", help="Data with labelled test images.")]


def inspect(
    file: File, arch: o.Arch = None, classes: o.Classes = None, as_json: o.Json = False
) -> None:
    """What a checkpoint is, without running any of it."""
    from cnp_tui import answers

    answers.inspect(file, arch, classes, as_json)


def evaluate(
    model: Needed,
    data: Source,
    attack: o.Attack = None,
    arch: o.Arch = None,
    classes: o.Classes = None,
    normalize: o.Normalize = None,
    device: o.Device = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """BA, and with an attack ASR and RA, with their intervals."""
    from cnp_tui import answers

    answers.evaluate(
        as_json,
        quiet,
        model=model,
        data=data,
        attack=attack,
        arch=arch,
        classes=classes,
        normalize=normalize or "auto",
        device=device or "auto",
        seed=seed or 0,
    )


def register(app: typer.Typer) -> None:
    app.command("inspect")(inspect)
    app.command("eval")(evaluate)
