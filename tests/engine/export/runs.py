"""A run made up for the tests: plain events with known figures, and one with hostile names."""

from __future__ import annotations

import dataclasses
import math

import torch

from cnp_engine.config import RunConfig
from cnp_engine.events import (
    Chosen,
    CurvePoint,
    DataLoaded,
    Event,
    Exported,
    LabelFree,
    Measured,
    MeasuredBefore,
    ModelLoaded,
    NormalizeChosen,
    Progress,
    Rate,
    Remeasured,
    RunStarted,
    ScoresReady,
    StageFinished,
    TargetRanked,
    TargetRow,
    TriggerReversed,
    VerdictReached,
    Warned,
)
from cnp_engine.export.inputs import Picture, PrunedNeuron, ReportInput, gather
from cnp_engine.export.pictures import trigger_png

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "a|b `c` **d** [e](http://evil.example) \n# f",
    "\x1b[31mred\u202egnp.exe\udcff",
)
LAYERS = (
    ("bn1", 32),
    *(
        (f"layer{stage}.{block}.bn{index}", 32 * 2 ** (stage - 1))
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
        for index in (1, 2)
    ),
)
NEURONS = sum(channels for _, channels in LAYERS)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CHOSEN = 24


def rate(value: float, n: int = 1000) -> Rate:
    """A Wilson interval, computed here apart from the engine's."""
    z2 = 1.959963984540054**2
    middle = (value + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (value * (1 - value) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Rate(value, n, max(0.0, middle - half), min(1.0, middle + half))


def scores() -> tuple[float, ...]:
    drawn = torch.rand(NEURONS, generator=torch.Generator().manual_seed(1))
    return tuple((1 - drawn**6).tolist())


def pruned() -> tuple[PrunedNeuron, ...]:
    names = [(name, channel) for name, size in LAYERS for channel in range(size)]
    order = sorted(zip(scores(), names, strict=True))[:CHOSEN]
    return tuple(PrunedNeuron(name, channel, score) for score, (name, channel) in order)


def picture() -> Picture:
    pattern = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(32, 32)
    mask[28:31, 28:31] = 1.0
    return Picture(trigger_png(pattern, mask), "Pattern, mask, stamp", "Enlarged.", "trigger.png")


def curve() -> tuple[CurvePoint, ...]:
    return tuple(_point(k) for k in (0, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 120))


def _point(k: int) -> CurvePoint:
    hold = 1 / (1 + math.exp((k - 14) / 3))
    lost = k / 1000
    return CurvePoint(
        k,
        None if k == 0 else k / NEURONS,
        LabelFree(
            retention=rate(1 - 1.3 * lost, 500),
            residual=rate(0.2 + 0.79 * hold, 450),
        ),
        Measured(
            ba=rate(0.931 - lost, 10000),
            asr=rate(0.008 + 0.99 * hold, 9000),
            ra=rate(0.9 - 0.88 * hold - lost, 9000),
        ),
    )


def _row(index: int, name: str) -> TargetRow:
    right = index == 3
    return TargetRow(
        index,
        name,
        5.2 if right else 0.9 - index / 20,
        mask_l1=11.3 if right else 58.0 + index,
        success=0.998,
        anomaly=4.4 if right else 0.3,
        signals={"neuron": 0.71 if right else 0.02 * index},
    )


def events(names: tuple[str, ...] = NAMES, model: str = "/models/badnet.pth") -> list[Event]:
    ranking = sorted((_row(*pair) for pair in enumerate(names)), key=lambda row: -row.score)
    point = _point(CHOSEN)
    return [
        RunStarted(1, "c0ffee", False, {"cnp": "0.1.0", "torch": "2.10.0"}, "cpu", 2, 7),
        ModelLoaded(
            *(model, "ab" * 32, "torch zip", "state_dict", "resnet18-cifar", 10, NEURONS),
            layers=LAYERS,
            parameters=2_800_000,
        ),
        DataLoaded(
            *("cifar10:/data", "cd" * 32, names, 32, 32, 500, 500, 10000, True),
            notices=("3 images were resized.",),
        ),
        NormalizeChosen("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False, 0.97),
        MeasuredBefore(Measured(rate(0.931, 10000), rate(0.998, 9000), rate(0.002, 9000))),
        StageFinished("load", 1.2),
        TargetRanked(tuple(ranking), (3,), 4.3, True),
        StageFinished("target", 20.0),
        TriggerReversed(3, rate(0.998, 900), 11.34, 210),
        StageFinished("trigger", 9.0),
        *(
            Progress(
                "scores",
                step,
                120,
                {"loss": 1.3 + 1 / (1 + step / 9), "recovery": 1 - math.exp(-step / 30)},
            )
            for step in range(0, 121, 2)
        ),
        ScoresReady(NEURONS, 61, 0.93, 120),
        StageFinished("scores", 75.0),
        *curve(),
        Chosen(CHOSEN, 0.41, CHOSEN / NEURONS, "The knee of the residual."),
        VerdictReached("backdoored", (3,), 0.99, ("One class needs a far smaller mask.",)),
        Exported(("exports/purified.pth",), "ef" * 32),
        Remeasured("exports/purified.pth", CHOSEN, point.label_free, point.measured),
        Warned("reversal_large", "The reversed trigger is large."),
        Warned("reversal_large", "The reversed trigger is large."),
    ]


def full() -> ReportInput:
    inputs = {"model": "/models/badnet.pth", "data": "cifar10:/data", "masks.lr": 2.0}
    config = RunConfig.build(inputs, env={})
    return gather(
        config,
        events(),
        scores=scores(),
        pruned=pruned(),
        pictures=(picture(),),
        peak_memory_bytes=1_500_000_000,
    )


def hostile() -> ReportInput:
    """Every text that a stranger could have chosen is chosen badly."""
    names = (*HOSTILE, *NAMES[len(HOSTILE) :])
    model = f"/models/{HOSTILE[0]}/{HOSTILE[1]}\n```\n{HOSTILE[3]}.pth"
    run = gather(RunConfig(model, HOSTILE[2]), events(names, model))
    layers = tuple((f"{HOSTILE[1]}{name}", size) for name, size in LAYERS)
    assert run.model is not None
    return dataclasses.replace(
        run,
        model=dataclasses.replace(run.model, layers=layers, format=HOSTILE[0]),
        pruned=tuple(
            PrunedNeuron(f"{HOSTILE[1]}{one.layer}", one.channel, one.score) for one in pruned()
        ),
        warnings=tuple(Warned("x", text) for text in HOSTILE),
        pictures=(dataclasses.replace(picture(), alt=HOSTILE[1], file="a)>b.png"),),
        scores=scores(),
    )


def clean() -> ReportInput:
    """No evidence, nothing pruned, no ground truth."""
    kept = (RunStarted, ModelLoaded, DataLoaded, NormalizeChosen)
    log: list[Event] = [event for event in events() if isinstance(event, kept)]
    ranking = tuple(_row(index, name) for index, name in enumerate(NAMES) if index != 3)
    log += [
        TargetRanked(ranking, (), 0.1, False),
        VerdictReached("no_evidence", (), 0.94, ("No class stands out.",)),
    ]
    return gather(RunConfig("/models/clean.pth", "demo"), log)
