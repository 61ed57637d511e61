"""The command that makes models to try a defence on: poison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnp_tui import options as o

Kind = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="badnets, blended, wanet, fiba, sig, label-consistent, input-aware, lf, refool, "
        "physical.",
    ),
]
Source = Annotated[
    str, typer.Option(metavar="SOURCE", help="Data with labelled train and test images.")
]
Folder = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the model; a half-trained one goes on.")
]
Arch = Annotated[
    str,
    typer.Option(metavar="NAME", help="resnet18, preactresnet18, vgg16_bn, mobilenet_v2, ..."),
]
Width = Annotated[int | None, typer.Option(metavar="N", help="First width; the usual by default.")]
Rate = Annotated[
    float, typer.Option(metavar="F", help="Share of images poisoned; 0: a clean twin.")
]
Target = Annotated[str, typer.Option(metavar="K[,K]", help="Class or classes aimed at.")]
Goal = Annotated[str, typer.Option(metavar="GOAL", help="all-to-one, or all-to-all (y + 1).")]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="key=value", help="Parameter of the attack, as attack.toml has it."
    ),
]
Normalize = Annotated[
    str, typer.Option(metavar="NAME", help="Preprocessing of the network: none, cifar10, ...")
]
Images = Annotated[
    int | None, typer.Option(metavar="N", help="Training images, drawn by seed; all by default.")
]
Epochs = Annotated[int, typer.Option(metavar="N", help="Passes over the images.")]
Batch = Annotated[int, typer.Option(metavar="N", help="Images a step.")]
Rise = Annotated[float, typer.Option("--lr", metavar="F", help="Peak learning rate.")]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Mirror images; not signs (gtsrb, demo) by default."),
]
Precision = Annotated[
    str, typer.Option(metavar="NAME", help="auto, float32 or bfloat16: of the training.")
]


def poison(
    attack: Kind,
    data: Source,
    out: Folder,
    arch: Arch = "resnet18",
    width: Width = None,
    rate: Rate = 0.1,
    target: Target = "0",
    goal: Goal = "all-to-one",
    option: Option = None,
    normalize: Normalize = "none",
    images: Images = None,
    epochs: Epochs = 30,
    batch: Batch = 128,
    lr: Rise = 0.1,
    flip: Flip = None,
    precision: Precision = "auto",
    device: o.Device = None,
    seed: o.Seed = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a model with a backdoor, or a clean twin, to try a defence on."""
    from cnp_tui import answers, planting

    plan = planting.plan(
        attack=attack, data=data, arch=arch, width=width, rate=rate, target=target, goal=goal,
        option=option or [], normalize=normalize, images=images, epochs=epochs, batch=batch,
        lr=lr, flip=flip, seed=seed or 0,
    )  # fmt: skip
    answers.poison(plan, out, device or "auto", precision, quiet, as_json)


def register(app: typer.Typer) -> None:
    app.command("poison")(poison)
