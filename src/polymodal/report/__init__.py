"""The reports: single HTML files with pictures inside that open anywhere, offline."""

from polymodal.report.compared import write_comparison as write_comparison
from polymodal.report.write import write_report as write_report
