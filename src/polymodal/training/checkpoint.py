"""A checkpoint's file: tensors in safetensors, the rest as JSON in its header, written atomically.

The file holds no code and opening it runs none. A CRC over names, bytes and JSON tells a file that
was damaged from one that was not; a damaged, truncated, foreign or newer file ends in
`CheckpointError`. At any moment the folder holds the last whole checkpoint, or none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = "polymodal checkpoint"
VERSION = 1
FILE_NAME = "checkpoint.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; says which file, what is wrong and what to do."""


def write_checkpoint(path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint; a reader sees the old file or the new one, never a part.

    Arguments:
        path: The file. Its folder is made where missing.
        facts: What JSON can hold.
        tensors: Name -> tensor, on any device.
    """
    # Clones: safetensors refuses tensors that share memory, as tied weights do.
    held = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "facts": text,
        "crc": str(_crc(text, held)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode  # safetensors makes files that only their owner reads
        save_file(held, unfinished, metadata=header)
        unfinished.chmod(mode)
        _sync(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":
        _sync(path.parent)


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors of a checkpoint, on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, not a checkpoint, or of a newer version.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no checkpoint here.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            _check_version(path, header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, RuntimeError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path}: truncated, damaged or not a safetensors file ({error}). "
            "Use an earlier copy, or start the run anew in another directory."
        ) from error
    text = header.get("facts", "")
    if header.get("crc") != str(_crc(text, tensors)):
        raise CheckpointError(
            f"{path}: damaged, its checksum does not fit. "
            "Use an earlier copy, or start the run anew in another directory."
        )
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is not JSON ({error}).") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{path}: its header is not what a checkpoint has.")
    return facts, tensors


def _check_version(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of polymodal.")
    version = header.get("version", "")
    if not version.isdecimal():
        raise CheckpointError(f"{path}: its format version is {version!r}, expected a number.")
    if int(version) > VERSION:
        raise CheckpointError(
            f"{path}: written in format version {version}; this polymodal reads up to {VERSION}. "
            "Install a newer polymodal."
        )


def _crc(text: str, tensors: Mapping[str, Tensor]) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        crc = zlib.crc32(shape.encode(), crc)
        crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
