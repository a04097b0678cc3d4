"""Comparison: several recipes and seeds on one split, side by side with simple methods."""

from polymodal.comparison.comparing import compare as compare
from polymodal.comparison.plan import Plan as Plan
from polymodal.comparison.result import Comparison as Comparison
from polymodal.comparison.result import Group as Group
from polymodal.comparison.result import Row as Row
