"""Metrics: pure functions of tensors, with their direction, bounds and baseline."""

from polymodal.metrics.classes import accuracy as accuracy
from polymodal.metrics.classes import chance_agreement as chance_agreement
from polymodal.metrics.classes import class_entropy as class_entropy
from polymodal.metrics.classes import class_shares as class_shares
from polymodal.metrics.classes import macro_accuracy as macro_accuracy
from polymodal.metrics.classes import total_variation as total_variation
from polymodal.metrics.coverage import central_interval as central_interval
from polymodal.metrics.coverage import coverage as coverage
from polymodal.metrics.coverage import weibull_quantile as weibull_quantile
from polymodal.metrics.crps import crps as crps
from polymodal.metrics.errors import brier as brier
from polymodal.metrics.errors import error_rate as error_rate
from polymodal.metrics.errors import mae as mae
from polymodal.metrics.errors import r2 as r2
from polymodal.metrics.errors import rmse as rmse
from polymodal.metrics.registry import METRICS as METRICS
from polymodal.metrics.registry import MetricEntry as MetricEntry
from polymodal.metrics.registry import metric as metric
from polymodal.metrics.text import token_f1_error as token_f1_error
