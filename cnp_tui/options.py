"""The options that several commands share, declared once, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SETTINGS = {
    "model": "model",
    "data": "data",
    "arch": "arch",
    "classes": "classes",
    "normalize": "normalize",
    "clean": "clean",
    "clean_dir": "clean_dir",
    "attack": "attack",
    "trigger": "trigger",
    "target": "targets",
    "defense": "defense",
    "preset": "preset",
    "device": "device",
    "seed": "seed",
    "heal": "heal.when",
}
"""Parameter of a command: dotted key of RunConfig."""

WHEN = {True: "always", False: "never"}
"""What --heal and --no-heal come to."""

Model = Annotated[str | None, typer.Option(metavar="FILE", help="Checkpoint to examine.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help="Folder or zip of images, cifar10:DIR, cifar100:DIR, gtsrb:DIR, tiny-imagenet:DIR, "
        "FILE.npz or demo.",
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(metavar="NAME|module:factory", help="Architecture; recognised by default."),
]
Classes = Annotated[
    int | None, typer.Option(metavar="N", help="Number of classes; read off by default.")
]
Normalize = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="auto, none, cifar10, imagenet or m,m,m/s,s,s. [default: auto]"
    ),
]
Clean = Annotated[int | None, typer.Option(metavar="N", help="Clean images used. [default: 1000]")]
CleanDir = Annotated[
    str | None, typer.Option(metavar="DIR", help="Clean images in place of the train split.")
]
Attack = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A known attack (attack.toml, trigger_info.th, bd_test_dataset): measures only.",
    ),
]
Trigger = Annotated[
    str | None, typer.Option(metavar="FILE", help="Its trigger file: measures, never decides.")
]
Target = Annotated[
    str | None, typer.Option(metavar="K[,K]", help="Target classes; inferred by default.")
]
Defense = Annotated[
    str | None, typer.Option(metavar="NAME", help="How neurons are scored. [default: cnp]")
]
Preset = Annotated[
    str | None, typer.Option(metavar="fast|reference", help="Schedule. [default: fast]")
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps. [default: auto]"),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed. [default: 0]")]
Heal = Annotated[
    bool | None,
    typer.Option(
        "--heal/--no-heal",
        help="Also heal the pruned model, as a file of its own; where it needs that by default.",
    ),
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Settings; options above win over it.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="key=value", help="Any setting; `cnp config show` lists them."),
]
Out = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Run directory; in the runs folder by default.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the run that --out names.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="Print the run's path and leave it to work.")
]
Tui = Annotated[
    bool | None,
    typer.Option("--tui/--no-tui", help="Watch it in the application, or do not; else it asks."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Path of a run, or its name.")]


def settings(parameters: dict[str, Any]) -> dict[str, Any]:
    """The settings among a command's parameters; None where not given."""
    given = {key: parameters[name] for name, key in SETTINGS.items() if name in parameters}
    return {key: WHEN.get(value, value) if key == "heal.when" else value
            for key, value in given.items()}  # fmt: skip
