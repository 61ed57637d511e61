"""The plots of a report, as SVG: the sweep, the masks, their histogram, the layers, the ranking.

Deterministic text out of plain values; no library draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnp_engine.aims import named, row_name
from cnp_engine.events import CurvePoint, TargetRow
from cnp_engine.export.axes import Scale, ScaleKind
from cnp_engine.export.canvas import WIDTH, Box, line, rect, svg, text, x_axis, y_axis
from cnp_engine.export.curve import rate_of
from cnp_engine.export.definitions import NAMES
from cnp_engine.export.lines import Dot, Mark, Series, line_plot, padded
from cnp_engine.export.markup import Child, Html, el, number
from cnp_engine.export.wording import count, figure, plural, shorten

# What was measured against ground truth is dashed, what is label-free is solid.
_STYLES: dict[str, tuple[int, str, str]] = {
    "retention": (1, "solid", "circle"),
    "residual": (2, "solid", "square"),
    "ba": (3, "dashed", "triangle"),
    "asr": (4, "dashed", "diamond"),
    "ra": (5, "dashed", "cross"),
}
_LOG_FROM = 60
_RANKED = 20
_MAPPED = 80
_BINS = 24


def curve_plot(
    points: Sequence[CurvePoint], chosen: int | None, x_kind: ScaleKind | None = None
) -> Html | None:
    """Rates in per cent over k with 95 % bands, the chosen k marked.

    ``x_kind`` None: logarithmic where k runs far.
    """
    ordered = sorted(points, key=lambda point: point.k)
    if len(ordered) < 2:
        return None
    series = [Series(NAMES[name], _dots(ordered, name), *style) for name, style in _STYLES.items()]
    kind: ScaleKind = x_kind or ("log" if ordered[-1].k > _LOG_FROM else "linear")
    mark = None if chosen is None else Mark(chosen, f"chosen: k = {count(chosen)}")
    return line_plot(
        "Rates against the number of pruned neurons",
        series,
        x_name="k, neurons pruned" + (" (logarithmic)" if kind == "log" else ""),
        y_range=(0.0, 100.0),
        y_unit=" %",
        x_kind=kind,
        mark=mark,
    )


def progress_plots(values: Sequence[tuple[int, Mapping[str, float | None]]]) -> list[Html]:
    """Loss, then recovery rate in per cent, over mask steps: (step, values) pairs."""
    loss = [Dot(step, value) for step, row in values if (value := row.get("loss")) is not None]
    recovery = [
        Dot(step, 100 * value) for step, row in values if (value := row.get("recovery")) is not None
    ]
    plots: list[Html | None] = []
    if loss:
        plots.append(
            line_plot(
                "Contrastive loss over mask steps",
                [Series("loss", tuple(loss), 3, "solid", "triangle")],
                x_name="mask step",
                y_range=padded([dot.y for dot in loss]),
                height=200,
            )
        )
    if recovery:
        plots.append(
            line_plot(
                "Recovery rate over mask steps",
                [Series("Recovery", tuple(recovery), 1, "solid", "circle")],
                x_name="mask step",
                y_range=(0.0, 100.0),
                y_unit=" %",
                height=200,
            )
        )
    return [plot for plot in plots if plot is not None]


def ranking_plot(rows: Sequence[TargetRow], targets: Sequence[int]) -> Html | None:
    """A bar a class, best first; the classes taken on are coloured and say so."""
    shown = list(rows[:_RANKED])
    if not shown:
        return None
    left, right, pitch = 190.0, 190.0, 24.0
    scores = [row.score for row in shown]
    scale = Scale(min(0.0, *scores), max(0.0, *scores) or 1.0, left, WIDTH - right)
    parts: list[Child] = []
    for place, row in enumerate(shown):
        y = 14 + pitch * place
        taken = row.index in targets
        x0, x1 = sorted((scale(0), scale(row.score)))
        parts += [
            text(left - 8, y, shorten(row_name(row.index, row.name), 26), "end", "strong"),
            rect(x0, y - 7, max(1.5, x1 - x0), 14, "f2" if taken else "rest"),
            text(x1 + 7, y, _bar_words(row, taken)),
        ]
    parts.append(line(scale(0), 2, scale(0), 2 + pitch * len(shown), "axis"))
    shown_classes, classes = (len(named([row.index for row in some])) for some in (shown, rows))
    described = f"{plural(shown_classes, 'class', 'classes')} of {classes}, likeliest first."
    return svg(pitch * len(shown) + 6, "Ranking of target classes by score", described, *parts)


def histogram_plot(scores: Sequence[float], pruned: int) -> Html | None:
    """How many neurons have which mask score; the ``pruned`` lowest in front, in colour."""
    if not scores:
        return None
    ordered = sorted(scores)
    low, high = min(0.0, ordered[0]), max(1.0, ordered[-1])
    box = Box(58, 22, WIDTH - 20, 208)
    every = _bins(ordered, low, high)
    gone = _bins(ordered[:pruned], low, high)
    x = Scale(low, high, box.left, box.right)
    y = Scale(0, max(every), box.bottom, box.top, "log")
    parts: list[Child] = [*y_axis(box, y), *x_axis(box, x, "mask score (counts logarithmic)")]
    width = (box.right - box.left) / _BINS
    for index in range(_BINS):
        at = box.left + index * width
        for counts, style, inset in ((every, "rest", 1.0), (gone, "f2", 4.0)):
            if counts[index]:
                top = y(counts[index])
                parts.append(rect(at + inset, top, width - 2 * inset, box.bottom - top, style))
        if every[index]:
            words = count(every[index])
            parts.append(text(at + width / 2, y(every[index]) - 9, words, "middle", "tick"))
    described = f"{count(len(scores))} neurons; the {count(pruned)} with the lowest are pruned."
    return svg(260, "Histogram of mask scores", described, *parts)


def layer_plot(layers: Sequence[tuple[str, int]], pruned: Sequence[tuple[str, int]]) -> Html | None:
    """A strip a BatchNorm layer, as long as it has neurons, a stroke where one is pruned.

    Where layers are many, only those that lost a neuron are drawn.
    """
    gone: dict[str, list[int]] = {name: [] for name, _ in layers}
    for name, channel in pruned:
        gone[name].append(channel)
    shown = [layer for layer in layers if len(layers) <= _MAPPED or gone[layer[0]]]
    if not shown:
        return None
    left, right, pitch = 200.0, 120.0, 17.0
    x = Scale(0, max(channels for _, channels in shown), left, WIDTH - right)
    parts: list[Child] = []
    for place, (name, channels) in enumerate(shown):
        y = 12 + pitch * place
        parts += [
            text(left - 8, y, shorten(name, 30), "end"),
            rect(left, y - 5, x(channels) - left, 10, "rest"),
            *_strokes(gone[name], x, y),
            text(x(channels) + 8, y, f"{len(gone[name])} / {channels}", "start", "tick"),
        ]
    described = (
        f"{plural(len(pruned), 'neuron')} pruned in "
        f"{plural(sum(1 for _, channels in gone.items() if channels), 'layer')} of {len(layers)}."
    )
    return svg(pitch * len(shown) + 8, "Pruned neurons by layer", described, *parts)


def _strokes(channels: Sequence[int], x: Scale, y: float) -> list[Html]:
    """One path for all of a layer's pruned channels, each at least 2 pixels wide to be seen."""
    if not channels:
        return []
    width = max(2.0, x(1) - x(0))
    steps = "".join(
        f"M{number(x(channel))} {number(y - 6)}h{number(width)}v12h{number(-width)}z"
        for channel in sorted(channels)
    )
    return [el("path", d=steps, class_="f2")]


def _bar_words(row: TargetRow, taken: bool) -> str:
    words = [figure(row.score, 3)]
    if row.mask_l1 is not None:
        words.append(f"{figure(row.mask_l1, 3)} px")
    return " · ".join(words) + (" · target" if taken else "")


def _bins(values: Sequence[float], low: float, high: float) -> list[int]:
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((value - low) / (high - low) * _BINS))] += 1
    return counts


def _dots(points: Sequence[CurvePoint], name: str) -> tuple[Dot, ...]:
    return tuple(
        Dot(point.k, 100 * rate.value, 100 * rate.low, 100 * rate.high)
        for point in points
        if (rate := rate_of(point, name)) is not None
    )
