"""Laws of encoders and decoders: hold your own network to them.

Each ``check_*`` yields (name, law); a law raises AssertionError where it is broken. A network is
copied and put in evaluation mode first, so it is never changed.

Example:
    >>> import torch
    >>> from polymodal.networks import MLPEncoder
    >>> for name, law in check_encoder(MLPEncoder(3), lambda rows: (torch.randn(rows, 3),)):
    ...     law()
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

Law = Callable[[], None]
MakeBatch = Callable[[int], tuple[Tensor, ...]]
"""Rows -> what forward takes, each with the rows first: (x,), or (x, cells) with bool cells."""

ROWS = 6


def check_encoder(encoder: nn.Module, make_batch: MakeBatch) -> Iterator[tuple[str, Law]]:
    """The laws of an encoder.

    Arguments:
        encoder: The encoder, with the attribute ``out_features``.
        make_batch: Makes a batch of so many rows. With cells, some must be absent and some there.
    """
    yield from _laws(encoder, make_batch, (int(encoder.out_features),))  # type: ignore[arg-type]
    batch = make_batch(ROWS)
    if len(batch) == 2 and batch[1].dtype == torch.bool:
        yield "masked cells never matter", lambda: check_masked_cells_never_matter(encoder, *batch)


def check_decoder(
    decoder: nn.Module, latent_dim: int, parameter_shape: Sequence[int]
) -> Iterator[tuple[str, Law]]:
    """The laws of a decoder.

    Arguments:
        decoder: The decoder, (N, latent_dim) -> (N, *parameter_shape).
        latent_dim: Size of the latent.
        parameter_shape: Shape of one row's output.
    """

    def latents(rows: int) -> tuple[Tensor, ...]:
        return (torch.randn(rows, latent_dim, generator=torch.Generator().manual_seed(rows)),)

    yield from _laws(decoder, latents, tuple(parameter_shape))


def check_step_decoder(
    decoder: nn.Module, context_features: int, length: int, vocabulary: int
) -> Iterator[tuple[str, Law]]:
    """The laws of a step decoder: those of every network, and causality.

    One that keeps what it has read, by ``begin`` and ``advance``, is held to its ``forward``.

    Arguments:
        decoder: (N, context_features), (N, T) -> logits (N, T, vocabulary).
        context_features: Size of the context.
        length: The number of tokens T.
        vocabulary: The number of token ids.
    """

    def batch(rows: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        context = torch.randn(rows, context_features, generator=generator)
        return context, torch.randint(0, vocabulary, (rows, length), generator=generator)

    yield from _laws(decoder, batch, (length, vocabulary))
    yield "logits see only the tokens before", lambda: check_causality(decoder, *batch(ROWS))
    yield "every position sees the context", lambda: check_context_is_seen(decoder, *batch(ROWS))
    if hasattr(decoder, "advance"):
        yield "advancing is reading", lambda: check_advancing_is_reading(decoder, *batch(ROWS))


def _laws(
    network: nn.Module, make_batch: MakeBatch, shape: tuple[int, ...]
) -> Iterator[tuple[str, Law]]:
    yield "output shape", lambda: check_output_shape(network, make_batch, shape)
    yield "same input, same output", lambda: check_same_output(network, make_batch(ROWS))
    yield "rows are independent", lambda: check_rows_are_independent(network, make_batch(ROWS))
    yield "gradient reaches every parameter", lambda: check_gradient(network, make_batch(ROWS))
    yield "float64 works", lambda: check_float64(network, make_batch(ROWS))


def check_output_shape(network: nn.Module, make_batch: MakeBatch, shape: tuple[int, ...]) -> None:
    """(rows, *shape), finite, for several rows, one row and no rows."""
    network = _evaluated(network)
    for rows in (ROWS, 1, 0):
        out = network(*make_batch(rows))
        _require(
            tuple(out.shape) == (rows, *shape),
            f"{rows} rows: the output's shape is {tuple(out.shape)}, expected {(rows, *shape)}.",
        )
        _require(bool(out.isfinite().all()), f"{rows} rows: the output has NaN or inf.")


def check_same_output(network: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """Bit for bit the same twice, and the input is left as it was."""
    network = _evaluated(network)
    before = [part.clone() for part in batch]
    _same(network(*batch), network(*batch), "The same input gave two outputs.")
    for part, kept in zip(batch, before, strict=True):
        _same(part, kept, "The network changed its input.")


def check_rows_are_independent(network: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """A row's output does not change when the others do, nor when they are not there."""
    network = _evaluated(network)
    out = network(*batch)
    turned = tuple(torch.cat([part[:1], part[1:].flip(0)]) for part in batch)
    _same(network(*turned)[:1], out[:1], "The first row's output changed with the other rows.")
    for row in range(len(out)):
        alone = network(*(part[row : row + 1] for part in batch))
        torch.testing.assert_close(alone, out[row : row + 1], rtol=1e-4, atol=1e-5)


def check_gradient(network: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """Every parameter has a finite gradient that is not all zero."""
    network = _evaluated(network)
    _gradients(network, batch)
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        _require(gradient is not None, f"No gradient reaches {name}.")
        if gradient is not None:
            _require(bool(gradient.isfinite().all()), f"The gradient of {name} is not finite.")
            _require(bool((gradient != 0).any()), f"The gradient of {name} is all zero.")


def check_float64(network: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """After ``.double()`` float64 comes in and goes out, near the float32 answer."""
    network = _evaluated(network)
    single = network(*batch)
    wide = tuple(part.double() if part.is_floating_point() else part for part in batch)
    out = network.double()(*wide)
    _require(out.dtype == torch.float64, f"float64 went in, {out.dtype} came out.")
    torch.testing.assert_close(out.to(single.dtype), single, rtol=1e-3, atol=1e-4)


def check_masked_cells_never_matter(network: nn.Module, x: Tensor, cells: Tensor) -> None:
    """Output and gradients are bit-equal whatever stands in absent cells, NaN and inf too."""
    _require(bool(cells.any() and not cells.all()), "The batch needs present and absent cells.")
    network = _evaluated(network)
    results = []
    for filling in (0.0, 7.5, -1e30, math.inf, math.nan):
        filled = torch.where(cells, x, filling).requires_grad_()
        results.append([network(filled, cells), *_gradients(network, (filled, cells))])
        gradient = filled.grad  # None where only codes are read, as in a table of categories
        if gradient is not None:
            _require(bool((gradient[~cells] == 0).all()), "An absent cell has a gradient.")
            results[-1].append(gradient)
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            _same(one, other, "What stands in an absent cell matters.")


def check_causality(network: nn.Module, context: Tensor, tokens: Tensor) -> None:
    """Another token at t changes the logits after t, and no bit of those up to t."""
    network = _evaluated(network)
    out = network(context, tokens)
    vocabulary = out.shape[-1]
    for t in range(tokens.shape[1]):
        other = tokens.clone()
        other[:, t] = (other[:, t] + 1) % vocabulary
        changed = network(context, other)
        _same(changed[:, : t + 1], out[:, : t + 1], f"The token at {t} changed logits up to {t}.")
        if t + 1 < tokens.shape[1]:
            moved = (changed[:, t + 1] != out[:, t + 1]).any(-1)
            _require(bool(moved.all()), f"The token at {t} does not matter at {t + 1}.")


def check_context_is_seen(network: nn.Module, context: Tensor, tokens: Tensor) -> None:
    """Another context changes the logits of every row at every position."""
    network = _evaluated(network)
    moved = (network(context, tokens) != network(context + 1.0, tokens)).any(-1)
    _require(bool(moved.all()), "Some position does not depend on the context.")


def check_advancing_is_reading(network: nn.Module, context: Tensor, tokens: Tensor) -> None:
    """Token by token come the logits of one reading, also after other rows are selected."""
    network = _evaluated(network)
    whole, last = network(context, tokens), None
    state = network.begin(context)  # type: ignore[operator]
    for t in range(tokens.shape[1]):
        if t == tokens.shape[1] // 2:
            turned = torch.arange(len(context)).flip(0)
            state, whole, tokens = state.select(turned), whole[turned], tokens[turned]
            last = None if last is None else last[turned]
        logits, state = network.advance(state, last)  # type: ignore[operator]
        torch.testing.assert_close(logits, whole[:, t], rtol=1e-4, atol=1e-5)
        last = tokens[:, t]


def _evaluated(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without gradients."""
    network = copy.deepcopy(network).eval()
    network.zero_grad(set_to_none=True)
    return network


def _gradients(network: nn.Module, batch: tuple[Tensor, ...]) -> list[Tensor]:
    """Gradients of a fixed random projection of the output, one a parameter that has one."""
    network.zero_grad(set_to_none=True)
    out = network(*batch)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(0)).to(out.dtype)
    (out * weight).sum().backward()
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def _same(one: Tensor, other: Tensor, message: str) -> None:
    torch.testing.assert_close(
        one, other, rtol=0, atol=0, equal_nan=True, msg=lambda found: f"{message} {found}"
    )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
