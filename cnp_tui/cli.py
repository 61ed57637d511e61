"""``cnp``: the command line. Declares; every command imports what it needs when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from cnp_engine.errors import CnpError, Interrupted
from cnp_tui import faults
from cnp_tui.commands import asking, benching, listing, products, running, showing, training


class _Group(typer.core.TyperGroup):
    """Ctrl-C reaches ``main`` as an error of ours, with our exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("Interrupted.") from None


app = typer.Typer(
    name="cnp",
    cls=_Group,
    help="Find a backdoor in an image classifier and suppress it, without labels.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (running, showing, asking, products, listing, training, benching):
    commands.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cnp {version()}")
        raise typer.Exit


def version() -> str:
    """The installed version; a bare checkout has none."""
    from importlib import metadata

    try:
        return metadata.version("cnp")
    except metadata.PackageNotFoundError:
        return "of a source checkout"


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.")] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        showing.welcome()


def _opened() -> None:
    """What a shell closed (`2>&-`) leads nowhere: the next file opened would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            file = os.open(os.devnull, os.O_RDWR)
            if file != number:
                os.dup2(file, number)
                os.close(file)
            os.set_inheritable(number, True)
            stream = os.fdopen(
                number, "w" if number else "r",
                encoding="utf-8", errors="backslashreplace", closefd=False,
            )  # fmt: skip
            setattr(sys, name, stream)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code (README, "Exit codes")."""
    _opened()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    if debug:  # global, but people add it where they are: at the end
        words = ["--debug", *(word for word in words if word != "--debug")]
    try:
        app(words, prog_name="cnp")
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except CnpError as error:
        faults.show(error, debug)
        sys.exit(error.exit_code)
    except Exception as error:  # our own mistake: said in two sentences as well
        strange = faults.unexpected(error)
        faults.show(strange, debug)
        sys.exit(strange.exit_code)
    sys.exit(0)
