"""A checkpoint's file: one safetensors file with JSON in its header, written atomically."""

from __future__ import annotations

from polymodal.files import FileError, FileFormat

FILE_NAME = "checkpoint.safetensors"


class CheckpointError(FileError):
    """A checkpoint that cannot be used; says which file, what is wrong and what to do."""


CHECKPOINT = FileFormat(
    "polymodal checkpoint",
    1,
    "Use an earlier copy, or start the run anew in another directory.",
    CheckpointError,
)
