"""Commands that look around: runs, config show, doctor."""

from __future__ import annotations

import typer

from cnp_tui import options as o


def runs(as_json: o.Json = False) -> None:
    """All runs and how they stand, the newest last."""
    import json

    from cnp_tui import overview

    rows = overview.rows()
    print(json.dumps({"runs": rows}, indent=2) if as_json else overview.table(rows))


def show(
    config: o.Config = None,
    set_: o.Set = None,
    preset: o.Preset = None,
    as_json: o.Json = False,
) -> None:
    """Every setting: its key, value, default and meaning."""
    from cnp_tui import overview

    overview.show_settings(config, set_ or [], preset, as_json)


def doctor(as_json: o.Json = False) -> None:
    """Whether this machine and installation can do the work."""
    from cnp_tui import checkup

    raise typer.Exit(checkup.run(as_json))


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)
    settings = typer.Typer(help="Settings of a run.", rich_markup_mode=None)
    settings.command("show")(show)
    app.add_typer(settings, name="config")
    app.command("doctor")(doctor)
