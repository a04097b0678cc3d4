"""Raw data with a schema, and the codec that turns them into tensors and back."""

from __future__ import annotations

from polymodal.data import public as datasets
from polymodal.data.bundled import load_bundled
from polymodal.data.codec import DataCodec
from polymodal.data.dataset import MultimodalData
from polymodal.data.missingness import hide
from polymodal.data.schema import Schema
from polymodal.data.sources import from_arrays, read
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.data.tensors import Tensors

__all__ = [
    "ColumnSpec",
    "DataCodec",
    "ModalitySpec",
    "MultimodalData",
    "Schema",
    "Tensors",
    "datasets",
    "from_arrays",
    "hide",
    "load_bundled",
    "read",
]
