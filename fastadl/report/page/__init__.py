"""Results as pages of their own: HTML files that load nothing from anywhere."""

from fastadl.report.page.stress import html, write
from fastadl.report.page.sweep import html as html_sweep
from fastadl.report.page.sweep import write as write_sweep

__all__ = ["html", "html_sweep", "write", "write_sweep"]
