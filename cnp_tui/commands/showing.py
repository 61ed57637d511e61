"""Commands that open the application: tui, replay, compare, and ``cnp`` on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnp_tui import options as o

Opened = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Run to open, by path or name; else all runs.")
]
Speed = Annotated[
    float, typer.Option(metavar="X", help="Times as fast as it was.", min=0.01, max=1000.0)
]
Shot = Annotated[
    Path | None,
    typer.Option(metavar="FILE.svg", help="Write one picture in place of playing; no terminal."),
]
At = Annotated[
    str, typer.Option(metavar="SECONDS|end", help="The moment of the picture, from the first event")
]
Size = Annotated[str, typer.Option(metavar="COLUMNSxROWS", help="Size of the picture.")]
Screen = Annotated[
    str, typer.Option(metavar="NAME", help="home, new, run, prune, export or compare.")
]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more runs.")]


def welcome() -> None:
    """``cnp`` on its own: the application; where there is no terminal, how to begin."""
    from cnp_tui import overview, terminal

    if terminal.fits():
        raise typer.Exit(terminal.start())
    print(overview.table(overview.rows()))
    print(
        "\nBegin with `cnp demo`, or `cnp run --model FILE --data SOURCE`; `cnp --help` says more."
    )


def tui(run: Opened = None) -> None:
    """The application: all runs, or one of them."""
    from cnp_tui import showing

    raise typer.Exit(showing.open_run(run))


def replay(
    run: o.Run,
    speed: Speed = 1.0,
    screenshot: Shot = None,
    at: At = "end",
    size: Size = "120x40",
    screen: Screen = "run",
) -> None:
    """Play a recorded run again in the application, or write a picture of a moment of it."""
    from cnp_tui import showing

    if screenshot is None:
        raise typer.Exit(showing.replay(run, speed, screen))
    print(showing.picture(run, screenshot, showing.Moment(at, size, screen)))


def compare(runs: Runs, as_json: o.Json = False) -> None:
    """Runs side by side: in the application on a terminal, else as a table."""
    from cnp_tui import showing

    raise typer.Exit(showing.compare(runs, as_json))


def register(app: typer.Typer) -> None:
    app.command("tui")(tui)
    app.command("replay")(replay)
    app.command("compare")(compare)
