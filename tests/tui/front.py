"""``cnp run`` with the stand-in worker: ``python -m tests.tui.front BEHAVIOUR RUN [FLAG ...]``.

``--again`` goes on with the run, as ``cnp resume`` does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from cnp_engine.config import RunConfig
from cnp_engine.rundir import RunDirectory
from cnp_tui import cli, jobs
from tests.engine.runs.stand_in import MODULE


def main(argv: Sequence[str]) -> None:
    behaviour, path, *flags = argv
    values: dict[str, Any] = {"model": "m", "data": "d", "arch": behaviour}
    manner = jobs.Manner("--json" in flags, "--quiet" in flags, "--detach" in flags)

    def command() -> None:
        again = "--again" in flags
        config = RunConfig.build(values, env={})
        run = RunDirectory.open(path) if again else RunDirectory.create(path, config)
        raise typer.Exit(jobs.see_through(run, manner, MODULE))

    cli.app.command("stand-in")(command)
    cli.main(["stand-in", *(["--debug"] if "--debug" in flags else [])])


if __name__ == "__main__":
    main(sys.argv[1:])
