"""Everything a pipeline calls to leave a run's files behind, in one place."""

from __future__ import annotations

from cnp_engine.export.command import command_line
from cnp_engine.export.curve import curve_csv
from cnp_engine.export.masks_file import read_mask_values, write_mask_values
from cnp_engine.export.pictures import examples_png, trigger_png
from cnp_engine.export.report import Picture, ReportInput, gather, report_html, report_md
from cnp_engine.export.summary import Summary, SummaryParts, summary, summary_json

__all__ = [
    "Picture",
    "ReportInput",
    "Summary",
    "SummaryParts",
    "command_line",
    "curve_csv",
    "examples_png",
    "gather",
    "read_mask_values",
    "report_html",
    "report_md",
    "summary",
    "summary_json",
    "trigger_png",
    "write_mask_values",
]
