"""What the slider knows without a screen: figures at any k, the scale, typed values, undo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cnp_engine.config import SweepSettings
from cnp_engine.errors import SettingInvalid
from cnp_engine.events import (
    Chosen,
    CurvePoint,
    Evaluated,
    LabelFree,
    Measured,
    ModelLoaded,
    Rate,
    Remeasured,
    ScoresReady,
)
from cnp_engine.state import RunState
from cnp_tui import destination, layers
from cnp_tui.curves import Curves, Name, nearest
from cnp_tui.position import Position
from cnp_tui.scale import Mode, Scale, parse
from tests.tui.recorded import recorded

MODEL = ModelLoaded("m.pth", "0", "pth", "", "net", 2, 100, (("a", 40), ("b", 60)), 1)


def rate(value: float, n: int = 100) -> Rate:
    return Rate(value, n, max(0.0, value - 0.1), min(1.0, value + 0.1))


def point(k: int, retention: float, threshold: float | None, ba: float | None = None) -> CurvePoint:
    measured = Measured() if ba is None else Measured(ba=rate(ba))
    return CurvePoint(k, threshold, LabelFree(rate(retention), rate(1 - retention)), measured)


CURVE = (
    point(0, 1.0, None, 0.9), point(1, 0.9, 0.0), point(3, 0.7, 0.2),
    point(4, 0.6, 0.3, 0.5), point(8, 0.2, 0.75),
)  # fmt: skip


def curves(*events: Evaluated | Remeasured) -> Curves:
    return Curves.of(RunState.from_events([MODEL, *CURVE, *events]), SweepSettings())


@pytest.mark.parametrize(
    ("name", "k", "value", "between"),
    [
        ("retention", 0, 1.0, None),
        ("retention", 3, 0.7, None),
        ("retention", 2, 0.8, (1, 3)),
        ("retention", 5, 0.5, (4, 8)),
        ("residual", 6, 0.6, (4, 8)),
        ("ba", 4, 0.5, None),
        ("ba", 1, 0.8, (0, 4)),
    ],
)
def test_figures(name: Name, k: int, value: float, between: tuple[int, int] | None) -> None:
    figure = curves().figure(name, k)
    assert figure is not None
    assert figure.value == pytest.approx(value)
    assert figure.between == between
    assert figure.exact is (between is None)
    assert (figure.rate is not None) is figure.exact


@pytest.mark.parametrize(("name", "k"), [("ba", 5), ("retention", 9), ("asr", 0), ("ra", 4)])
def test_nothing_is_made_up_outside_what_was_measured(name: Name, k: int) -> None:
    assert curves().figure(name, k) is None


def test_an_answer_joins_the_curve_and_its_neighbours_follow() -> None:
    asked = Evaluated(6, LabelFree(rate(0.5), rate(0.1)), Measured(ba=rate(0.3)), 0.1)
    now = curves(asked)
    exact, beside, ba = now.figure("retention", 6), now.figure("retention", 5), now.figure("ba", 5)
    assert exact is not None
    assert (exact.value, exact.exact) == (0.5, True)
    assert beside is not None
    assert beside.value == pytest.approx(0.55)
    assert beside.between == (4, 6)
    assert ba is not None
    assert ba.value == pytest.approx(0.4)
    assert ba.between == (4, 6)
    assert 6 in now.measured_at


def test_of_two_exact_figures_the_one_of_more_images_wins() -> None:
    few = Evaluated(4, LabelFree(), Measured(ba=rate(0.1, n=10)), 0.1)
    many = Remeasured("p", 4, LabelFree(), Measured(ba=rate(0.45, n=1000)))
    assert curves(few).rates["ba"][4].value == 0.5
    assert curves(few, many).rates["ba"][4].value == 0.45
    assert (
        curves(Evaluated(4, LabelFree(), Measured(ba=rate(0.4)), 0.1)).rates["ba"][4].value == 0.4
    )


@pytest.mark.parametrize(("k", "complete"), [(0, True), (1, False), (4, True), (5, False)])
def test_complete_is_all_that_is_known_anywhere(k: int, complete: bool) -> None:
    assert curves().complete(k) is complete


@pytest.mark.parametrize(
    ("k", "value", "exact"),
    [(0, None, True), (1, 0.0, True), (2, 0.1, False), (4, 0.3, True), (6, 0.525, False),
     (9, None, False)],
)  # fmt: skip
def test_threshold(k: int, value: float | None, exact: bool) -> None:
    found = curves().threshold(k)
    assert found.value == (None if value is None else pytest.approx(value))
    assert found.exact is exact


@pytest.mark.parametrize(
    ("threshold", "k"), [(-1.0, 0), (0.0, 1), (0.1, 2), (0.19, 2), (0.3, 4), (0.74, 7), (1.0, 8)]
)
def test_under_a_threshold_counts_the_neurons_that_score_so_low(threshold: float, k: int) -> None:
    assert curves().under(threshold) == k


def test_the_end_is_that_of_the_sweep_also_before_it_is_there() -> None:
    begun = RunState.from_events([replace(MODEL, neurons=2400), *CURVE[:2]])
    assert Curves.of(begun, SweepSettings()).end == 120
    assert curves().end == 8
    assert Curves.of(begun, SweepSettings()).reference == 24


@pytest.mark.parametrize(("k", "next_to"), [(2, 1), (3, 3), (100, 8), (6, 4)])
def test_nearest(k: int, next_to: int) -> None:
    assert nearest([8, 4, 3, 1, 0], k) == next_to
    assert nearest([], k) is None


# The scale


@pytest.mark.parametrize(("end", "width"), [(30, 78), (120, 78), (700, 78), (3000, 118), (9, 10)])
def test_every_cell_is_a_count_and_they_rise(end: int, width: int) -> None:
    scale = Scale(end, width)
    counts = [scale.count(cell) for cell in range(width)]
    assert counts[0] == 0
    assert counts[-1] == end
    assert counts == sorted(counts)
    if end >= width:
        assert [scale.cell(k) for k in counts] == list(range(width))
    assert all(0 <= scale.cell(k) < width for k in range(end + 1))
    assert [scale.cell(k) for k in range(end + 1)] == sorted(scale.cell(k) for k in range(end + 1))


def test_near_zero_a_cell_is_one_neuron_and_further_out_it_is_many() -> None:
    scale = Scale(700, 79)
    assert [scale.count(cell) for cell in range(39)] == list(range(39))
    assert scale.count(78) - scale.count(77) > 20


@pytest.mark.parametrize(("cell", "k"), [(-5, 0), (0, 0), (10_000, 120)])
def test_outside_the_track_are_its_ends(cell: int, k: int) -> None:
    assert Scale(120, 78).count(cell) == k


def test_every_count_has_a_cell_of_its_own_where_there_is_room() -> None:
    scale = Scale(30, 78)
    assert [scale.count(scale.cell(k)) for k in range(31)] == list(range(31))


@pytest.mark.parametrize(("end", "width"), [(0, 40), (5, 1), (0, 1)])
def test_a_scale_of_nothing(end: int, width: int) -> None:
    scale = Scale(end, width)
    assert scale.count(0) == 0
    assert scale.cell(end) == 0


# Typed values


@pytest.mark.parametrize(
    ("text", "mode", "k"),
    [
        ("4", "count", 4), (" 8 ", "count", 8), ("4.0", "count", 4), ("0", "count", 0),
        ("3%", "count", 3), ("3.0 %", "count", 3), ("2.6", "fraction", 3), ("2.6%", "fraction", 3),
        ("0.31", "threshold", 4), ("1", "threshold", 8), ("5%", "threshold", 5),
    ],
)  # fmt: skip
def test_typed_values(text: str, mode: Mode, k: int) -> None:
    assert parse(text, mode, curves()) == k


@pytest.mark.parametrize(
    ("text", "mode", "what"),
    [
        ("", "count", "no number"), ("x", "count", "no number"), (".", "count", "no number"),
        ("0.31", "count", "no number of neurons"), ("9", "count", "beyond"),
        ("50%", "count", "beyond"), ("1.5", "threshold", "no threshold"),
        ("1e999", "count", "no number"), ("nan", "fraction", "no number"),
        ("-1", "count", "beyond"),
    ],
)  # fmt: skip
def test_refused_values(text: str, mode: Mode, what: str) -> None:
    with pytest.raises(SettingInvalid) as refused:
        parse(text, mode, curves())
    assert what in refused.value.what
    assert refused.value.todo


# Undo


def test_positions_are_undone_and_done_again() -> None:
    at = Position(6).rested(7).rested(9)
    assert (at.k, at.past) == (9, (6, 7))
    back = at.undone().undone()
    assert (back.k, back.undone()) == (6, back)
    assert back.redone().redone() == replace(at, future=())
    assert back.rested(30).redone().k == 30


def test_resting_where_it_is_is_no_step() -> None:
    at = Position(6).rested(7)
    assert at.rested(7) == at


def test_a_position_follows_the_run_until_it_is_set() -> None:
    state = RunState.from_events([Chosen(4, 0.3, 0.04, "rule")])
    assert Position().following(state).k == 4
    assert Position(2).rested(2).following(state).k == 2


def test_modes_go_round() -> None:
    at, seen = Position(), []
    for _ in range(4):
        at = at.other_mode()
        seen.append(at.mode)
    assert seen == ["fraction", "threshold", "count", "fraction"]


# Layers


def scored(**fields: object) -> RunState:
    scores = ScoresReady(100, 3, None, 1, lowest=(("b", 7, 0.0), ("a", 3, 0.1)))
    return RunState.from_events([MODEL, replace(scores, **fields)])  # type: ignore[arg-type]


def test_which_neurons_go_at_a_count() -> None:
    state = scored(order=((1, 7), (0, 3), (1, 2)))
    shown = layers.at(state, 3)
    assert [(layer.name, layer.pruned) for layer in shown.layers] == [("a", (3,)), ("b", (2, 7))]
    assert (shown.k, shown.placed) == (3, 3)
    assert [layer.pruned for layer in layers.at(state, 0).layers] == [(), ()]


def test_an_older_log_tells_the_lowest_few_only() -> None:
    shown = layers.at(scored(), 5)
    assert [layer.pruned for layer in shown.layers] == [(3,), (7,)]
    assert (shown.k, shown.placed) == (5, 2)


def test_the_recorded_order_begins_with_the_lowest_scores() -> None:
    state = recorded("blended").snapshot.state
    assert state.model is not None
    assert state.scores is not None
    named = [(state.model.layers[i][0], channel) for i, channel in layers.order(state)]
    assert named[:12] == [(name, channel) for name, channel, _ in state.scores.lowest]
    assert sum(len(layer.pruned) for layer in layers.at(state, 120).layers) == 120


# Where to export


def test_destinations(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for text, said in (
        (str(tmp_path), None),
        (str(tmp_path / "new" / "folder"), None),
        ("relative", None),
        ("", "Name a folder"),
        ("  ", "Name a folder"),
        (str(file), "is not a folder"),
        (str(file / "below"), "is not a folder"),
    ):
        found = destination.trouble(text)
        assert found is None if said is None else found is not None and said in found, text


@pytest.mark.parametrize(
    ("environment", "platform", "program"),
    [
        ({}, "linux", None),
        ({"DISPLAY": ":0"}, "linux", "xdg-open"),
        ({"WAYLAND_DISPLAY": "w"}, "linux", "xdg-open"),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, "linux", None),
        ({}, "darwin", "open"),
    ],
)
def test_a_report_is_opened_only_where_there_is_a_display(
    environment: dict[str, str], platform: str, program: str | None, tmp_path: Path
) -> None:
    for name in ("xdg-open", "open"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    found = destination.opener({**environment, "PATH": str(tmp_path)}, platform)
    assert found == (None if program is None else str(tmp_path / program))
