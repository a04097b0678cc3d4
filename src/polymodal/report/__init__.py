"""The report: one HTML file with pictures inside that opens anywhere, offline."""

from polymodal.report.write import write_report as write_report
