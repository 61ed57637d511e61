"""Commands that start a run or follow one: run, scan, demo, resume, attach, cancel."""

from __future__ import annotations

import typer

from cnp_tui import options as o


def run_or_scan(
    ctx: typer.Context,
    model: o.Model = None,
    data: o.Data = None,
    arch: o.Arch = None,
    classes: o.Classes = None,
    normalize: o.Normalize = None,
    clean: o.Clean = None,
    clean_dir: o.CleanDir = None,
    attack: o.Attack = None,
    trigger: o.Trigger = None,
    target: o.Target = None,
    defense: o.Defense = None,
    preset: o.Preset = None,
    device: o.Device = None,
    seed: o.Seed = None,
    heal: o.Heal = None,
    config: o.Config = None,
    set_: o.Set = None,
    out: o.Out = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    detach: o.Detach = False,
) -> None:
    from cnp_tui import jobs

    values = o.settings(ctx.params)
    if ctx.info_name == "scan":
        values["until"] = "verdict"
    place = jobs.Place(out, force)
    started = jobs.begin(values, set_ or [], config, place)
    raise typer.Exit(jobs.see_through(started, jobs.Manner(as_json, quiet, detach)))


def demo(
    ctx: typer.Context,
    clean: o.Clean = None,
    preset: o.Preset = None,
    device: o.Device = None,
    seed: o.Seed = None,
    heal: o.Heal = None,
    set_: o.Set = None,
    out: o.Out = None,
    force: o.Force = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    detach: o.Detach = False,
    tui: o.Tui = None,
) -> None:
    """The whole job on the embedded model and data; on a terminal it can be watched."""
    from cnp_tui import jobs, showing

    plain = as_json or quiet or detach
    watch = showing.wanted(tui, plain)

    values = {**o.settings(ctx.params), **jobs.demo_inputs()}
    started = jobs.begin(values, set_ or [], None, jobs.Place(out, force))
    if watch:
        raise typer.Exit(showing.watch(started))
    raise typer.Exit(jobs.see_through(started, jobs.Manner(as_json, quiet, detach)))


def resume(
    run: o.Run, as_json: o.Json = False, quiet: o.Quiet = False, detach: o.Detach = False
) -> None:
    """Go on with a run that was stopped, failed, or lost its worker."""
    from cnp_tui import jobs

    raise typer.Exit(jobs.resume(run, jobs.Manner(as_json, quiet, detach)))


def attach(run: o.Run, as_json: o.Json = False, quiet: o.Quiet = False) -> None:
    """Follow a run to its end; Ctrl-C leaves it running."""
    from cnp_tui import jobs

    raise typer.Exit(jobs.attach(run, jobs.Manner(as_json, quiet)))


def cancel(run: o.Run) -> None:
    """Stop a run at work; what it has done stays, and `cnp resume` goes on."""
    from cnp_tui import jobs

    jobs.cancel(run)


def register(app: typer.Typer) -> None:
    app.command("run", help="The whole job: verdict, repair, export, measured again.")(run_or_scan)
    app.command("scan", help="The verdict only; exit code 10 where a backdoor was found.")(
        run_or_scan
    )
    app.command("demo")(demo)
    app.command("resume")(resume)
    app.command("attach")(attach)
    app.command("cancel")(cancel)
