"""Plots: what they must show is there, at the right place; the same text every time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from cnp_engine.events import CurvePoint, LabelFree, Measured, TargetRow
from cnp_engine.export import plots
from cnp_engine.export.markup import Html

from . import runs
from .parsing import Page


def drawn(picture: Html | None) -> Page:
    assert picture is not None
    page = Page(picture.text)
    assert page.complaints == []
    assert page.elements[0][0] == "svg"
    assert page.elements[0][1]["aria-label"]
    return page


def numbers(page: Page, tag: str, attribute: str) -> list[float]:
    return [float(attrs[attribute]) for name, attrs in page.elements if name == tag]


def test_curve_names_every_line_and_marks_the_choice() -> None:
    page = drawn(plots.curve_plot(runs.curve(), runs.CHOSEN))
    for name in ("Retention", "Residual", "BA", "ASR", "RA", "chosen: k = 24"):
        assert name in page.texts
    bands = [attrs for _, attrs in page.elements if attrs.get("class", "").startswith("band")]
    assert len(bands) == 5
    dashes = [attrs.get("stroke-dasharray") for tag, attrs in page.elements if tag == "polyline"]
    assert [dash is None for dash in dashes] == [True, True, False, False, False]


def test_curve_puts_a_rate_where_its_axis_says() -> None:
    flat = runs.rate(0.5, 100)
    points = [CurvePoint(k, None, LabelFree(retention=flat)) for k in (0, 10)]
    page = drawn(plots.curve_plot(points, None))
    ys = {
        y
        for tag, attrs in page.elements
        if tag == "polyline"
        for y in re.findall(r",([\d.]+)", attrs["points"])
    }
    lines = [attrs for tag, attrs in page.elements if tag == "line" and attrs["class"] == "grid"]
    top, bottom = (float(lines[place]["y1"]) for place in (-1, 0))
    assert [float(y) for y in ys] == [pytest.approx((top + bottom) / 2)]


@pytest.mark.parametrize(("last", "logarithmic"), [(30, False), (240, True)])
def test_curve_goes_logarithmic_when_k_runs_far(last: int, logarithmic: bool) -> None:
    points = [CurvePoint(k, None, LabelFree(retention=runs.rate(1.0))) for k in (0, last)]
    assert ("logarithmic" in drawn(plots.curve_plot(points, None)).text()) == logarithmic
    forced = drawn(plots.curve_plot(points, None, "linear"))
    assert "logarithmic" not in forced.text()


def test_curve_needs_two_points_and_a_measured_rate() -> None:
    assert plots.curve_plot(runs.curve()[:1], None) is None
    bare = [CurvePoint(k, None, LabelFree(), Measured()) for k in (0, 1)]
    assert plots.curve_plot(bare, None) is None


def test_ranking_says_which_is_the_target() -> None:
    rows = [TargetRow(4, "deer", 2.0, mask_l1=12.5), TargetRow(0, "x" * 90, -1.0)]
    page = drawn(plots.ranking_plot(rows, [4]))
    assert "2 · 12.5 px · target" in page.texts
    assert "-1" in page.texts
    assert not any("x" * 40 in text for text in page.texts)
    bars = [attrs for tag, attrs in page.elements if tag == "rect"]
    assert [bar["class"] for bar in bars] == ["f2", "rest"]
    assert float(bars[0]["width"]) == pytest.approx(2 * float(bars[1]["width"]), rel=1e-3)


def test_histogram_counts_every_neuron() -> None:
    scores = [0.01] * 3 + [0.5] * 10 + [1.0] * 900
    page = drawn(plots.histogram_plot(scores, 2))
    assert {"3", "10", "900"} <= set(page.texts)
    styles = [attrs["class"] for tag, attrs in page.elements if tag == "rect"]
    assert styles.count("rest") == 3
    assert styles.count("f2") == 1


def test_histogram_takes_scores_outside_zero_to_one() -> None:
    page = drawn(plots.histogram_plot([-2.0, 0.5, 7.0], 1))
    assert page.texts.count("1") >= 3


def test_layers_show_total_and_pruned() -> None:
    layers = [("bn1", 4), ("layer1.0.bn1", 8)]
    page = drawn(plots.layer_plot(layers, [("bn1", 0), ("bn1", 3)]))
    assert {"bn1", "2 / 4", "layer1.0.bn1", "0 / 8"} <= set(page.texts)
    narrow, wide = numbers(page, "rect", "width")
    assert wide == pytest.approx(2 * narrow)
    (path,) = [attrs["d"] for tag, attrs in page.elements if tag == "path"]
    assert path.count("M") == 2


def test_many_layers_show_only_those_that_lost_a_neuron() -> None:
    layers = [(f"bn{index}", 4) for index in range(161)]
    page = drawn(plots.layer_plot(layers, [("bn7", 1)]))
    assert "bn7" in page.texts
    assert "bn8" not in page.texts


def test_progress_draws_what_was_recorded() -> None:
    both = [(step, {"loss": 1.0 / (1 + step), "recovery": 0.5}) for step in range(5)]
    assert len(plots.progress_plots(both)) == 2
    assert len(plots.progress_plots([(0, {"loss": 1.0, "recovery": None})])) == 1
    assert plots.progress_plots([(0, {})]) == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.curve_plot(runs.curve(), 24),
        lambda: plots.histogram_plot(runs.scores(), 24),
        lambda: plots.layer_plot(runs.LAYERS, [(one.layer, one.channel) for one in runs.pruned()]),
    ],
    ids=["curve", "histogram", "layers"],
)
def test_same_values_same_text(draw: Callable[[], Html | None]) -> None:
    assert drawn(draw()).elements == drawn(draw()).elements


def test_bands_run_out_along_the_top_and_back_along_the_bottom() -> None:
    page = drawn(plots.curve_plot(runs.curve(), None, "linear"))
    (band, *_) = [a["points"] for _, a in page.elements if a.get("class", "").startswith("band")]
    places = [tuple(map(float, pair.split(","))) for pair in band.split()]
    count = len(runs.curve())
    there, back = places[:count], places[count:]
    assert [x for x, _ in there] == sorted(x for x, _ in there)
    assert [x for x, _ in back] == [x for x, _ in reversed(there)]
    pairs = zip(there, reversed(back), strict=True)
    assert all(high < low for (_, high), (_, low) in pairs)  # pixels count downwards
