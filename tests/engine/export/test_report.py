"""The report: complete, self-contained, and safe whatever the names in it."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable
from typing import TypeAlias

import pytest

from cnp_engine.config import RunConfig
from cnp_engine.events import Chosen, CurvePoint, LabelFree, VerdictReached
from cnp_engine.export.inputs import ReportInput
from cnp_engine.export.markdown import escape
from cnp_engine.export.report import report_html, report_md
from cnp_engine.export.verdict import verdict_text

from . import runs
from .parsing import Page

RUNS = {
    "full": runs.full(),
    "hostile": runs.hostile(),
    "clean": runs.clean(),
    "nothing": ReportInput(RunConfig("m.pth", "demo")),
}
Writer: TypeAlias = Callable[[ReportInput], str]
WRITERS: list[Writer] = [report_html, report_md]
SECTIONS = [
    *("verdict", "figures", "curve", "trigger", "ranking"),
    *("neurons", "limits", "provenance", "repeat", "definitions"),
]


@pytest.fixture(params=RUNS, name="name")
def each_run(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_html_is_well_formed(name: str) -> None:
    assert Page(report_html(RUNS[name])).complaints == []


def test_html_loads_and_runs_nothing(name: str) -> None:
    page = Page(report_html(RUNS[name]))
    assert page.handlers == []
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in page.loads)
    (style,) = re.findall(r"<style>(.*?)</style>", report_html(RUNS[name]), re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style


def test_html_forbids_what_might_slip_through(name: str) -> None:
    page = Page(report_html(RUNS[name]))
    (policy,) = [attrs["content"] for _, attrs in page.elements if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_names_are_shown_as_they_are() -> None:
    text = Page(report_html(RUNS["hostile"])).text()
    for name in runs.HOSTILE[:2]:
        assert name in text
    assert "\\x1b[31mred\\u202egnp.exe\\udcff" in text


@pytest.mark.parametrize("write", WRITERS, ids=["html", "md"])
def test_only_printable_characters_are_written(write: Writer, name: str) -> None:
    text = write(RUNS[name])
    assert {char for char in text if not char.isprintable()} <= {"\n"}
    text.encode("utf-8")


@pytest.mark.parametrize("write", WRITERS, ids=["html", "md"])
def test_same_facts_same_report(write: Writer) -> None:
    assert write(runs.full()) == write(runs.full())


def test_every_section_is_there_and_linked() -> None:
    page = Page(report_html(RUNS["full"]))
    assert [attrs["id"] for tag, attrs in page.elements if tag == "section"] == SECTIONS
    assert [value for value in page.loads if value.startswith("#")] == [f"#{s}" for s in SECTIONS]


def test_the_picture_is_inside() -> None:
    page = Page(report_html(RUNS["full"]))
    (data,) = [value for value in page.loads if value.startswith("data:")]
    assert base64.b64decode(data.partition(",")[2]) == runs.picture().png


@pytest.mark.parametrize(
    "words",
    [
        "99.8 % (99.7 to 99.9, n = 9,000)",  # ASR before, with interval and n
        "4.2 % (3.8 to 4.6, n = 9,000)",  # after
        "-95.6",
        "24 of 1,952",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "torch 2.10.0",
        "seed 0",
        "cnp run --model /models/badnet.pth --data cifar10:/data --set masks.lr=2.0",
        "whose true class is not the target",
        "The reversed trigger is large.",
        "3 images were resized.",
        "One class needs a far smaller mask.",
        "layer4.0.bn1",
        "Wilson",
    ],
)
def test_both_formats_say(words: str) -> None:
    assert words in Page(report_html(RUNS["full"])).text()
    assert words in re.sub(r"\\([^\w])", r"\1", report_md(RUNS["full"]))


def test_a_warning_said_twice_is_shown_once() -> None:
    assert report_md(RUNS["full"]).count("The reversed trigger is large.") == 1


def test_words_never_claim_more_than_was_measured(name: str) -> None:
    text = (Page(report_html(RUNS[name])).text() + report_md(RUNS[name])).lower()
    for claim in ("removed", "eliminated", "no backdoor was found", "is clean", "is safe"):
        assert claim not in text


@pytest.mark.parametrize(
    ("run", "says", "never"),
    [
        (RUNS["full"], ["class 3 (cat)", "from 99.8 % to 4.2 %", "without the attack"], ["asked"]),
        (RUNS["clean"], ["No evidence", "nothing was pruned", "not proof"], ["class"]),
        (RUNS["nothing"], ["before it came to a verdict"], ["backdoor"]),
        (
            dataclasses.replace(RUNS["full"], chosen=Chosen(0, None, 0.0, ""), after=None),
            ["none was pruned"],
            ["from 99.8"],
        ),
        (
            dataclasses.replace(RUNS["full"], chosen=Chosen(5, 0.1, 0.0026, "", by_user=True)),
            ["as the user asked"],
            ["without the attack"],
        ),
        (
            dataclasses.replace(
                RUNS["full"], verdict=VerdictReached("backdoored", (3, 7), 0.9, ())
            ),
            ["classes 3 (cat), 7 (horse)"],
            [],
        ),
    ],
    ids=["backdoored", "no evidence", "unfinished", "k 0", "by user", "two targets"],
)
def test_verdict_in_one_paragraph(run: ReportInput, says: list[str], never: list[str]) -> None:
    text = verdict_text(run)
    assert all(words in text for words in says)
    assert not any(words in text for words in never)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("# f", r"\# f"),
        ("1. x", r"1\. x"),
        ("- x", r"\- x"),
        ("---", r"\---"),
        ("-95.6", "-95.6"),
        ("99.8 %", "99.8 %"),
        ("<b>&amp;", r"\<b\>&amp;amp;"),
        ("[e](x)", r"\[e\](x)"),
        ("http://e", "http&#58;//e"),
        ("www.e", "www&#46;e"),
        ("a@b.c", "a&#64;b.c"),
        ("a\n# b", r"a\\n# b"),
        ("    code", "code"),
        ("`c` *d* _e_", r"\`c\` \*d\* \_e\_"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, written: str) -> None:
    assert escape(text) == written


def test_markdown_tables_keep_their_columns() -> None:
    widths: list[int] = []
    for line in report_md(RUNS["hostile"]).splitlines():
        if not line.startswith("|"):
            widths.clear()
            continue
        widths.append(len(re.findall(r"(?<!\\)\|", line)))
        assert widths[0] == widths[-1], line


def test_a_long_curve_is_thinned_but_keeps_what_matters() -> None:
    rate = runs.rate(0.9)
    curve = tuple(CurvePoint(k, None, LabelFree(retention=rate)) for k in range(121))
    run = dataclasses.replace(RUNS["full"], curve=curve, chosen=Chosen(37, 0.4, 0.02, "The knee."))
    lines = report_md(run).split("## Pruning curve")[1].split("##")[0].splitlines()
    firsts = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert {"0", "37 (chosen)", "120"} <= set(firsts)
    assert len(firsts) <= 18


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Model's sha256", "ab" * 32),
        ("Data's sha256", "cd" * 32),
        ("Exported weights' sha256", "ef" * 32),
        ("Preprocessing", "none (mean 0 0 0, std 1 1 1, RGB; inferred, 97.0 % sure)"),
        ("Images that measured", "10,000, labelled, none of them among the former"),
        ("Peak memory", "1,431 MiB"),
        ("all stages", "1 min 45 s"),
    ],
)
def test_provenance_is_a_row_each(name: str, value: str) -> None:
    assert f"| {name} | {value} |" in report_md(RUNS["full"])
