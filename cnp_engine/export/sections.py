"""The sections of a report after its first page."""

from __future__ import annotations

from collections.abc import Sequence

from cnp_engine.aims import row_name
from cnp_engine.events import CurvePoint, TargetRow
from cnp_engine.export import plots
from cnp_engine.export.curve import rate_of
from cnp_engine.export.definitions import DEFINITIONS, NAMES, SIGNALS
from cnp_engine.export.document import Block, Para, Plot, Section, Table
from cnp_engine.export.inputs import ReportInput
from cnp_engine.export.wording import count, figure, percent, plural, rate

_CURVE_ROWS = 16
_CURVE_RATES = ("retention", "residual", "ba", "asr", "ra")


def curve_section(run: ReportInput) -> Section:
    chosen = run.chosen.k if run.chosen is not None else None
    measured = [name for name in _CURVE_RATES if any(rate_of(point, name) for point in run.curve)]
    blocks: list[Block] = []
    if run.chosen is not None:
        who = "The user chose" if run.chosen.by_user else "Chosen"
        rule = run.chosen.rule[:1].upper() + run.chosen.rule[1:]
        blocks.append(Para(f"{who}: k = {count(run.chosen.k)}. {rule}".strip()))
    table = _curve_table(run.curve, measured, chosen)
    picture = plots.curve_plot(run.curve, chosen)
    if picture is not None:
        blocks.append(Plot(picture, _curve_caption(run, measured), table))
    elif run.curve:
        blocks.append(table)
    return Section("curve", "Pruning curve", blocks)


def _curve_caption(run: ReportInput, measured: Sequence[str]) -> str:
    sizes = {
        name: sorted({one.n for point in run.curve if (one := rate_of(point, name)) is not None})
        for name in measured
    }
    parts = [
        f"{NAMES[name]} (n = {' to '.join(count(n) for n in _ends(sizes[name]))}): "
        f"{DEFINITIONS[name]}"
        for name in measured
    ]
    return (
        f"Bands are Wilson 95 % intervals; seed {run.config.seed}. Solid lines are label-free, "
        "dashed ones need ground truth and decided nothing. " + " ".join(parts)
    )


def _ends(values: Sequence[int]) -> Sequence[int]:
    return values if len(values) < 2 else (values[0], values[-1])


def _curve_table(
    points: Sequence[CurvePoint], measured: Sequence[str], chosen: int | None
) -> Table:
    """An even choice of the points, with the first, the last and the chosen one."""
    step = max(1, -(-len(points) // _CURVE_ROWS))
    kept = [
        point
        for index, point in enumerate(points)
        if index % step == 0 or index == len(points) - 1 or point.k == chosen
    ]
    rows = []
    for point in kept:
        rates = [rate_of(point, name) for name in measured]
        label = f"{point.k} (chosen)" if point.k == chosen else str(point.k)
        rows.append([label, *(percent(one.value) if one is not None else "" for one in rates)])
    return Table(
        ["k", *(NAMES[name] for name in measured)],
        rows,
        numeric=range(len(measured) + 1),
        caption="Every point, with n and intervals, is in curve.csv.",
    )


def trigger_section(run: ReportInput) -> Section:
    rows = [
        [
            run.class_name(one.target),
            rate(one.success),
            f"{one.mask_l1:.2f}",
            count(one.steps),
        ]
        for one in run.triggers
    ]
    blocks: list[Block] = list(run.pictures)
    if rows:
        blocks.append(
            Table(
                ["Class", "Success", "Mask L1 (pixels)", "Steps"],
                rows,
                numeric=[2, 3],
                caption=f"{DEFINITIONS['success']} {DEFINITIONS['mask_l1']} "
                f"Seed {run.config.seed}.",
            )
        )
    return Section("trigger", "Reversed trigger", blocks)


def ranking_section(run: ReportInput) -> Section:
    if run.ranking is None:
        return Section("ranking", "Ranking of target classes", [])
    rows = run.ranking.ranking
    table = _signals_table(rows)
    caption = (
        f"A longer bar is a likelier target; px: the mask's L1. The first leads the next by "
        f"{figure(run.ranking.margin, 3)}. Seed {run.config.seed}."
    )
    picture = plots.ranking_plot(rows, run.ranking.targets)
    blocks: list[Block] = [] if picture is None else [Plot(picture, caption)]
    return Section("ranking", "Ranking of target classes", [*blocks, table])


_OWN = {
    "mask_l1": "Mask L1 (px)",
    "success": "Success",
    "anomaly": "Anomaly",
    "votes": "Votes",
}

_SIZES = {
    "patch": ("mask_l1", "px"),
    "blend": ("strength", "strength"),
    "warp": ("warp", "px"),
    "wave": ("wave", "works on"),
}
"""Of a kind of trigger: the signal that measures it, and in what."""

_SHARES = ("success", "wave", "paired")


def _signals_table(rows: Sequence[TargetRow]) -> Table:
    """All that is known of every class; what no class has gets no column."""
    keys = list(dict.fromkeys(key for row in rows for key in row.signals))
    families = [f for f in _SIZES if f"{f}_octaves" in keys]
    told = {f"{f}_{last}" for f in families for last in ("octaves", "counted")}
    told |= {_SIZES[f][0] for f in families}
    own = [name for name in _OWN if name not in told and _told(rows, name)]
    others = [key for key in keys if key not in told]
    return Table(
        [
            *("Class", "Score"),
            *(f"{family.capitalize()} ({_SIZES[family][1]})" for family in families),
            *(_OWN[name] for name in own),
            *(other.capitalize() for other in others),
        ],
        [
            [
                *(row_name(row.index, row.name), f"{row.score:.2f}"),
                *(_in_family(row, family) for family in families),
                *(_signal(name, getattr(row, name)) for name in own),
                *(_signal(name, row.signals.get(name)) for name in others),
            ]
            for row in rows
        ],
        numeric=range(1, 2 + len(families) + len(own) + len(others)),
        caption=_meant([*keys, *own]),
        fold="All signals" if len(rows) > 12 else "",
    )


def _told(rows: Sequence[TargetRow], name: str) -> bool:
    """Whether a figure is known of a class; an anomaly that is the score is not told twice."""
    known = [row for row in rows if getattr(row, name) is not None]
    return any(name != "anomaly" or row.anomaly != row.score for row in known)


def _in_family(row: TargetRow, family: str) -> str:
    """How far a class stands out by one kind of trigger, what that counts, and its size."""
    octaves, counted = (row.signals.get(f"{family}_{last}") for last in ("octaves", "counted"))
    if octaves is None:
        return ""
    measure, _ = _SIZES[family]
    size = row.mask_l1 if measure == "mask_l1" else row.signals.get(measure)
    counts = "" if counted is None else f" as {counted:.2f}"
    return f"{octaves:.2f}{counts}, {_signal(measure, size) or 'none'}"


def _meant(signals: Sequence[str]) -> str:
    """What the columns of signals say, each kind once."""
    kinds = {signal.rpartition("_")[2] for signal in signals}
    return " ".join(meaning for kind, meaning in SIGNALS.items() if kind in kinds)


def _signal(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in _SHARES:
        return percent(value)
    return count(round(value)) if abs(value) >= 100 else figure(value, 3)


def neurons_section(run: ReportInput) -> Section:
    """Scores, then what was pruned: by layer, and neuron by neuron."""
    blocks: list[Block] = []
    if run.scored is not None:
        recovery = run.scored.recovery
        words = f" Recovery at the end: {percent(recovery)}." if recovery is not None else ""
        blocks.append(
            Para(
                f"{plural(run.scored.steps, 'mask step')}; {count(run.scored.under_half)} of "
                f"{count(run.scored.neurons)} scores fell under one half.{words}"
            )
        )
    steps = [(one.done, one.values) for one in run.mask_progress]
    captions = (
        "The loss the masks minimise, over its steps.",
        f"{DEFINITIONS['recovery']} Seed {run.config.seed}.",
    )
    for picture in plots.progress_plots(steps):
        blocks.append(Plot(picture, captions["Recovery" in picture.text]))
    histogram = plots.histogram_plot(run.scores, len(run.pruned))
    if histogram is not None:
        blocks.append(
            Plot(histogram, "Grey: all neurons. Coloured: the pruned ones, lowest scores first.")
        )
    return Section("neurons", "Neurons", [*blocks, *_pruned_blocks(run)])


def _pruned_blocks(run: ReportInput) -> list[Block]:
    if not run.pruned:
        return [Para("No neuron was pruned.")]
    picture = plots.layer_plot(run.layers, [(one.layer, one.channel) for one in run.pruned])
    gone: dict[str, list[int]] = {}
    for one in run.pruned:
        gone.setdefault(one.layer, []).append(one.channel)
    by_layer = Table(
        ["Layer", "Neurons", "Pruned", "Channels"],
        [
            [name, count(size), str(len(gone[name])), ", ".join(map(str, sorted(gone[name])))]
            for name, size in run.layers
            if name in gone
        ],
        numeric=[1, 2],
        caption=DEFINITIONS["neurons"],
    )
    in_order = Table(
        ["Order", "Layer", "Channel", "Score"],
        [
            [str(rank), one.layer, str(one.channel), f"{one.score:.6g}"]
            for rank, one in enumerate(run.pruned, 1)
        ],
        numeric=[0, 2, 3],
        fold=f"The {plural(len(run.pruned), 'pruned neuron')} in order",
    )
    caption = "Each strip is a BatchNorm layer, each stroke a pruned neuron; pruned / total."
    drawn: list[Block] = [] if picture is None else [Plot(picture, caption)]
    return [*drawn, by_layer, in_order]
