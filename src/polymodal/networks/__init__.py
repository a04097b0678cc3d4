"""Encoders and decoders: no probability inside, and rows never depend on each other."""

from __future__ import annotations

from polymodal.networks.attributes import AttributeEncoder as AttributeEncoder
from polymodal.networks.conv import ConvDecoder as ConvDecoder
from polymodal.networks.conv import ConvEncoder as ConvEncoder
from polymodal.networks.mlp import MLPDecoder as MLPDecoder
from polymodal.networks.mlp import MLPEncoder as MLPEncoder
from polymodal.networks.resnet import ResidualConvDecoder as ResidualConvDecoder
from polymodal.networks.resnet import ResidualConvEncoder as ResidualConvEncoder
from polymodal.networks.series import RecurrentDecoder as RecurrentDecoder
from polymodal.networks.series import RecurrentEncoder as RecurrentEncoder
from polymodal.networks.series import SeriesDecoder as SeriesDecoder
from polymodal.networks.series import SeriesEncoder as SeriesEncoder
from polymodal.networks.table import TableEncoder as TableEncoder
from polymodal.networks.text import ParallelTextDecoder as ParallelTextDecoder
from polymodal.networks.text import TextContext as TextContext
from polymodal.networks.text import TextEncoder as TextEncoder
from polymodal.networks.text import TextStepDecoder as TextStepDecoder
from polymodal.networks.vector import VectorEncoder as VectorEncoder
from polymodal.networks.wide import WideDecoder as WideDecoder
from polymodal.networks.wide import WideEncoder as WideEncoder
