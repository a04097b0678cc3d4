"""What the kinds beside tables, images, texts and vectors let a schema say, and its faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEYS = {
    "series": ("size", "likelihood"),
    "audio": ("size", "rate", "n_fft", "hop"),
    "tags": ("levels", "separator", "min_count", "unseen"),
}
"""Kind -> the settings it has, in the order of the schema's file."""

OWNERS = {
    **{key: (kind,) for kind, own in KEYS.items() for key in own if key != "size"},
    "likelihood": ("series", "vector"),
}
"""Setting -> the kinds that have it."""

SIZES = {"series": "[channels, times]", "audio": "[mel bands, frames]"}
CELLWISE = ("vector", "embedding", "series")
"""Kinds of which single values may be missing: their presence is (N, P)."""

SERIES_LIKELIHOODS = ("negative_binomial", "poisson", "gaussian")
COUNTED = SERIES_LIKELIHOODS[:2]
VECTOR_LIKELIHOODS = ("bernoulli", "gaussian")
UNSEEN = ("drop", "refuse")


def check_settings(spec: Any) -> dict[str, Any]:  # noqa: ANN401 (a ModalitySpec, which is above)
    """The settings of a specification as they should stand in it.

    Raises:
        ValueError: If one does not fit; one sentence that says which.
    """
    made: dict[str, Any] = {}
    if spec.kind in SIZES and spec.size is not None:
        # a vector's size is left in a schema that was edited to `kind: series`
        one_channel = spec.kind == "series" and _is_whole(spec.size)
        size = (1, spec.size) if one_channel else spec.size
        made["size"] = _pair(size, f"a {spec.kind} modality's size", SIZES[spec.kind])
    if spec.kind == "tags":
        made |= _tags(spec)
    for key, least in (("min_count", 1), ("rate", 1), ("n_fft", 4), ("hop", 1)):
        value = getattr(spec, key)
        if value is not None and (not _is_whole(value) or value < least):
            raise ValueError(f"{key} must be a whole number of at least {least}, got {value!r}.")
    if spec.n_fft is not None and spec.hop is not None and spec.hop > spec.n_fft // 2:
        raise ValueError(
            f"hop must be at most half of n_fft, or sound is lost between two windows; got hop "
            f"{spec.hop} and n_fft {spec.n_fft}."
        )
    likelihoods = SERIES_LIKELIHOODS if spec.kind == "series" else VECTOR_LIKELIHOODS
    for key, known in (("likelihood", likelihoods), ("unseen", UNSEEN)):
        value = getattr(spec, key)
        if value is not None and value not in known:
            raise ValueError(f"{key} must be one of {', '.join(known)}, got {value!r}.")
    return made


def _tags(spec: Any) -> dict[str, Any]:  # noqa: ANN401
    if spec.separator is not None and (not isinstance(spec.separator, str) or not spec.separator):
        raise ValueError(f"separator must be a string such as ';', got {spec.separator!r}.")
    if spec.levels is None:
        return {}
    levels = spec.levels
    if isinstance(levels, str) or not isinstance(levels, Sequence) or not levels:
        raise ValueError(f"levels must be a list of at least one tag, got {levels!r}.")
    for place, level in enumerate(levels):
        if not isinstance(level, str):
            raise ValueError(f"a tag must be a string, got {level!r}.")
        if level in levels[:place]:
            raise ValueError(f"tag {level!r} is listed twice; list each tag once.")
    return {"levels": tuple(levels)}


def _pair(size: Any, whose: str, form: str) -> tuple[int, int]:  # noqa: ANN401
    pair = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else ()
    if len(pair) != 2 or not all(_is_whole(one) and one >= 1 for one in pair):
        raise ValueError(f"{whose} must be {form}, got {size!r}.")
    return pair


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def detail_of(spec: Any) -> str:  # noqa: ANN401
    """What the printed schema says of a modality."""
    pair = spec.size if isinstance(spec.size, tuple) else None
    if spec.kind in ("vector", "embedding"):
        said = [f"{spec.size} numbers" if spec.size else "", spec.likelihood or ""]
        return ", ".join(one for one in said if one)
    if spec.kind == "series":
        said = [f"{pair[0]} x {pair[1]} times" if pair else "", spec.likelihood or ""]
        return ", ".join(one.replace("_", " ") for one in said if one)
    if spec.kind == "audio":
        said = [f"{pair[0]} mels x {pair[1]} frames" if pair else ""]
        return ", ".join([one for one in said if one] + ([f"{spec.rate} Hz"] if spec.rate else []))
    return f"{len(spec.levels)} tags" if spec.levels else ""
