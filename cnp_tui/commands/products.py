"""Commands that write something out of a run: prune, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnp_tui import options as o

Count = Annotated[int | None, typer.Option(metavar="K", help="Prune the K lowest scores.", min=0)]
Fraction = Annotated[
    float | None,
    typer.Option(metavar="F", help="Prune this share of all neurons.", min=0.0, max=1.0),
]
Threshold = Annotated[float | None, typer.Option(metavar="T", help="Prune the scores up to T.")]
Auto = Annotated[bool, typer.Option("--auto", help="Prune what the run itself chose.")]
File = Annotated[Path | None, typer.Option(metavar="FILE", help="The model to write.")]
Formats = Annotated[
    list[str] | None, typer.Option("--format", metavar="NAME", help="Only this; may be repeated.")
]
Folder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where to; RUN/exports by default.")
]


def prune(
    run: o.Run,
    count: Count = None,
    fraction: Fraction = None,
    threshold: Threshold = None,
    auto: Auto = False,
    out: File = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a finished run's model with another number of neurons pruned."""
    from cnp_tui import answers

    amounts = {"count": count, "fraction": fraction, "threshold": threshold, "auto": auto or None}
    answers.prune(run, amounts, out, quiet, as_json)


def export(
    run: o.Run,
    formats: Formats = None,
    to: Folder = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write the files of a finished run again, elsewhere."""
    from cnp_tui import answers

    answers.export(run, formats or [], to, quiet, as_json)


def report(run: o.Run, as_json: o.Json = False) -> None:
    """Write the report of a run again and say where it is."""
    from cnp_tui import answers

    answers.report(run, as_json)


def register(app: typer.Typer) -> None:
    app.command("prune")(prune)
    app.command("export")(export)
    app.command("report")(report)
