"""The one file format: tensors in safetensors, the rest as JSON in its header, written atomically.

A file holds no code and opening it runs none. A CRC over names, bytes and JSON tells a file that
was damaged from one that was not; a damaged, truncated, foreign or newer file ends in one clear
error. At any moment a folder holds the last whole file, or none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from polymodal.replacing import FileError as FileError
from polymodal.replacing import check_replaceable


def as_path(task: str, value: object) -> Path:
    """A path that a caller gave.

    Raises:
        TypeError: If it is neither a string nor a path.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{task} takes a path, got {value!r}.")
    return Path(value)


@dataclass(frozen=True)
class FileFormat:
    """One kind of file.

    Arguments:
        name: What its header says it is, such as ``"polymodal model"``.
        version: The version that is written; files of later ones are refused.
        remedy: What a user whose file is damaged should do.
        error: The error to raise.
    """

    name: str
    version: int
    remedy: str
    error: type[FileError] = FileError

    def write(self, path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write a file; a reader sees the old file or the new one, never a part.

        Arguments:
            path: The file. Its folder is made where missing.
            facts: What JSON can hold.
            tensors: Name -> tensor, on any device.

        Raises:
            FileError: If the path is that of a folder, a device, a pipe or a socket.
        """
        if path.is_dir():
            raise self.error(
                f"{path}: this is a folder; name a file in it, such as {path / 'a.pm'}."
            )
        check_replaceable(path, self.error)
        # Clones: safetensors refuses tensors that share memory, as tied weights do.
        held = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        text = json.dumps(facts)
        header = {
            "format": self.name,
            "version": str(self.version),
            "facts": text,
            "crc": str(_crc(text, held)),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        try:
            unfinished.touch()
            # safetensors may leave a file that only its owner can read.
            mode = unfinished.stat().st_mode
            save_file(held, unfinished, metadata=header)
            unfinished.chmod(mode)
            _sync(unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        if os.name == "posix":
            _sync(path.parent)

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors of a file, on the CPU.

        Raises:
            FileError: The file is missing, damaged, of another kind, or of a newer version.
        """
        if path.is_dir():
            raise self.error(f"{path}: this is a folder; expected a {self.name} file.")
        if not path.is_file():
            what = "this is not a regular file" if path.exists() else "there is no such file"
            raise self.error(f"{path}: {what}.")
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                header = file.metadata() or {}
                self._check_version(path, header)
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError, RuntimeError, UnicodeDecodeError) as error:
            raise self.error(
                f"{path}: truncated, damaged or not a safetensors file ({error}). {self.remedy}"
            ) from error
        text = header.get("facts", "")
        if header.get("crc") != str(_crc(text, tensors)):
            raise self.error(f"{path}: damaged, its checksum does not fit. {self.remedy}")
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(f"{path}: its header is not JSON ({error}).") from error
        if not isinstance(facts, dict):
            raise self.error(f"{path}: its header is not what a {self.name} has.")
        return facts, tensors

    def _check_version(self, path: Path, header: Mapping[str, str]) -> None:
        if header.get("format") != self.name:
            raise self.error(f"{path}: a safetensors file, but not a {self.name}.")
        version = header.get("version", "")
        if not (version.isascii() and version.isdecimal()) or len(version) > 9 or version == "0":
            raise self.error(
                f"{path}: its format version is {version[:20]!r}, expected a number from 1 on."
            )
        if int(version) > self.version:
            raise self.error(
                f"{path}: written in format version {version}; this polymodal reads up to "
                f"{self.version}. Install a newer polymodal."
            )


def _crc(text: str, tensors: Mapping[str, Tensor]) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        crc = zlib.crc32(shape.encode(), crc)
        if tensor.numel():  # one of no elements may have strides that no view can take
            crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
