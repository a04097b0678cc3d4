"""What a measure is, so that a folder never holds numbers of two measures in one column.

A measure has a name, that of its function, and a fingerprint: of its bytecode, so that comments
and the lines around it do not matter, and of all that it holds: defaults, closure, the arguments
of a ``functools.partial``, the attributes of an object. Functions that it calls by a global name
are known by that name alone. Another minor version of Python compiles to other bytecode; there
only the name can be compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

_COMPILER = str(sys.implementation.cache_tag)
_PLAIN = (bool, int, float, complex, str, bytes, PurePath, torch.dtype, torch.device)


def identify(measures: Sequence[Any]) -> list[dict[str, str]]:
    """Name, compiler and fingerprint of each measure, as JSON can hold them, whatever their order.

    Example:
        >>> [one["name"] for one in identify([max])]
        ['builtins.max']
    """
    found = [
        {"name": _name(one), "compiler": _COMPILER, "fingerprint": _Fingerprints().of_measure(one)}
        for one in measures
    ]
    return sorted(found, key=lambda one: (one["name"], one["fingerprint"]))


def as_kept(said: Any) -> int | list[dict[str, str]]:  # noqa: ANN401
    """What ``identify`` said on the day of a folder, as a file holds it.

    Returns:
        The same; the number of measures in folders from before there was more to say.

    Raises:
        TypeError, KeyError: If it is neither.
    """
    if isinstance(said, int):
        return said
    return [{what: str(one[what]) for what in ("name", "compiler", "fingerprint")} for one in said]


def say_difference(
    was: int | Sequence[Mapping[str, str]], now: Sequence[Mapping[str, str]]
) -> str | None:
    """Which measures a folder has, and which are asked for now; None where they are the same.

    Arguments:
        was: What ``as_kept`` says of the folder.
        now: What ``identify`` says now.
    """
    if isinstance(was, int):
        return None if was == len(now) else f"measures={was}, now {len(now)}"
    if [one["name"] for one in was] != [one["name"] for one in now]:
        return f"measures={_list(was)}, now {_list(now)}"
    for old, new in zip(was, now, strict=True):
        comparable = old["compiler"] == new["compiler"]
        if comparable and old["fingerprint"] != new["fingerprint"]:
            return f"the measure {new['name']}, whose code, or what it holds, is another now"
    return None


class _Fingerprints:
    """Fingerprints that are the same for equal values on any day."""

    def __init__(self) -> None:
        # The values too: what is alive gives its id to no other.
        self._known: dict[int, tuple[Any, str]] = {}

    def of_measure(self, measure: Any) -> str:  # noqa: ANN401
        """Of a callable: what it holds and, if it is an object, what its class does."""
        owner = measure.__self__ if isinstance(measure, MethodType) else measure
        does = {
            name: one
            for name, one in vars(type(owner)).items()
            if isinstance(one, FunctionType) and (name == "__call__" or not name.startswith("__"))
        }
        return _digest(self.of(measure), self.of(does))

    def of(self, value: Any) -> str:  # noqa: ANN401
        """Of anything."""
        if value is None or isinstance(value, _PLAIN):
            return _digest(type(value).__name__, repr(value))
        if isinstance(value, type | ModuleType):
            return _digest(_name(value))
        if id(value) not in self._known:
            self._known[id(value)] = value, "itself"
            self._known[id(value)] = value, _digest(*self._parts(value))
        return self._known[id(value)][1]

    def _parts(self, value: Any) -> list[Any]:  # noqa: ANN401
        """Texts that tell a value from others of its kind, the name of which is the first."""
        if isinstance(value, CodeType):
            return ["code", value.co_code.hex(), value.co_names, [*map(self.of, value.co_consts)]]
        if isinstance(value, FunctionType):
            return [_name(value), *self._function(value)]
        if isinstance(value, MethodType):
            return ["method", self.of(value.__func__), self.of(value.__self__)]
        if isinstance(value, partial):
            return ["partial", *map(self.of, (value.func, value.args, value.keywords))]
        if isinstance(value, Mapping):
            return ["map", sorted([self.of(key), self.of(one)] for key, one in value.items())]
        if isinstance(value, set | frozenset):
            return ["set", sorted(map(self.of, value))]
        if isinstance(value, list | tuple):
            return [type(value).__name__, *map(self.of, value)]
        if isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
            return [_name(value), *self._array(value)]
        return [_name(value), self.of(_held(value))]

    def _function(self, function: FunctionType) -> list[str]:
        code, cells = function.__code__, [_inside(cell) for cell in function.__closure__ or ()]
        # What is said of a function does not change what it does.
        consts = tuple(one for one in code.co_consts if one != function.__doc__)
        held = (function.__defaults__, function.__kwdefaults__, cells)
        return [self.of(one) for one in (code.replace(co_consts=consts), *held)]

    def _array(self, value: Any) -> list[str]:  # noqa: ANN401
        if isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            said, content = [str(value.dtype), str(tuple(value.shape))], flat.view(torch.uint8)
            return [*said, hashlib.sha256(content.numpy().tobytes()).hexdigest()]
        held = np.asarray(value)
        said = [str(held.dtype), str(held.shape)]
        if held.dtype == object:
            return [*said, self.of(held.tolist())]
        return [*said, hashlib.sha256(held.tobytes()).hexdigest()]


def _held(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """The attributes of an object that are no caches."""
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    own = {
        name: one
        for name, one in getattr(value, "__dict__", {}).items()
        if not name.startswith("_")
        and not isinstance(getattr(type(value), name, None), cached_property)
    }
    return {**own, **value.state_dict()} if isinstance(value, torch.nn.Module) else own


def _name(value: Any) -> str:  # noqa: ANN401
    """Module and qualified name; of an object those of its class."""
    if isinstance(value, partial):
        return f"partial of {_name(value.func)}"
    if isinstance(value, ModuleType):
        return value.__name__
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _inside(cell: Any) -> Any:  # noqa: ANN401
    """What a closure holds; an empty cell has nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _digest(*said: Any) -> str:  # noqa: ANN401
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _list(measures: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(one["name"] for one in measures) or "none"
