"""report.html and report.md: one document, two writers.

The HTML is one file that needs no network and runs no script; everything quoted from a model or
a folder is escaped in both.
"""

from __future__ import annotations

from pathlib import PurePath

from cnp_engine.export.appendix import (
    definitions_section,
    provenance_section,
    repeat_section,
    warnings_section,
)
from cnp_engine.export.document import Document
from cnp_engine.export.inputs import Picture, PrunedNeuron, ReportInput, gather
from cnp_engine.export.markdown import write_markdown
from cnp_engine.export.page import write_page
from cnp_engine.export.sections import (
    curve_section,
    neurons_section,
    ranking_section,
    trigger_section,
)
from cnp_engine.export.verdict import badge, comparison_section, verdict_section

__all__ = ["Picture", "PrunedNeuron", "ReportInput", "gather", "report_html", "report_md"]


def report_html(run: ReportInput) -> str:
    """A self-contained page: inline style, SVG plots, pictures as data."""
    return write_page(document(run))


def report_md(run: ReportInput) -> str:
    """The same as Markdown; curves as tables, pictures by the files beside it."""
    return write_markdown(document(run))


def document(run: ReportInput) -> Document:
    words, alarm = badge(run)
    architecture = f", {run.model.architecture}" if run.model is not None else ""
    sections = (
        verdict_section(run),
        comparison_section(run),
        curve_section(run),
        trigger_section(run),
        ranking_section(run),
        neurons_section(run),
        warnings_section(run),
        provenance_section(run),
        repeat_section(run),
        definitions_section(),
    )
    return Document(
        title=f"Backdoor report: {PurePath(run.config.model).name}",
        subtitle=f"{run.config.model}{architecture}; data {run.config.data}; "
        f"seed {run.config.seed}",
        badge=words,
        alarm=alarm,
        sections=[section for section in sections if section.blocks],
    )
