"""The application: the verbs, and how a command begins and ends."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from polymodal.cli import (
    cluster,
    coherence,
    compare,
    demo,
    embed,
    evaluate,
    explain,
    fit,
    generate,
    impute,
    recipes,
    report,
    schema,
    score,
    translate,
    traverse,
)
from polymodal.cli.config import read_config
from polymodal.cli.errors import FAILED, OK, WRONG, CommandError, WorkError, one_line
from polymodal.cli.numbers import check_whole
from polymodal.cli.overwriting import check_inputs_stay

HELP = """One latent space from several modalities, where anything may be missing.

Give a table with holes, whose columns are pictures, texts, sounds, series,
tags, embeddings, numbers and categories; get a model that fills in,
translates, generates, embeds, clusters and scores.
"""

EPILOGUE = """Try it on real data that come along (2 minutes, writes a report with pictures):

    polymodal demo

Then on your own table:

    polymodal schema cohort.parquet                 what is in it
    polymodal fit cohort.parquet --out cohort.pm    learn
    polymodal impute cohort.pm cohort.parquet --out filled.parquet
    polymodal report cohort.pm test.parquet --out report.html

`polymodal VERB --help` shows options and an example.
`--json` prints results for programs.
Exit codes: 0 done, 1 the work failed, 2 the command was wrong.
POLYMODAL_DEBUG=1 shows where an error comes from.
"""

VERBS = (
    demo,
    schema,
    fit,
    impute,
    translate,
    generate,
    embed,
    traverse,
    cluster,
    score,
    evaluate,
    compare,
    coherence,
    report,
    recipes,
    explain,
)


def make_app() -> App:
    """The application with every verb."""
    app = App(
        name="polymodal",
        help=HELP,
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=lambda: importlib.import_module("polymodal").__version__,
        default_parameter=Parameter(negative=(), negative_iterable=()),
        config=(read_config, check_whole),
        result_action="return_value",
    )
    for order, module in enumerate(VERBS):
        name = module.__name__.rpartition(".")[2]
        verb = getattr(module, name)
        app.command(
            verb,
            name=name,
            help=_flowing(inspect.getdoc(verb) or ""),
            help_epilogue=f"Example:\n\n{module.EXAMPLE}",
            sort_key=order,
        )
    return app


def _flowing(text: str) -> str:
    """A line a paragraph, so that a terminal of any width breaks them at its own edge."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command.

    Arguments:
        tokens: The command line without the program's name; that of the process when None.

    Returns:
        The exit code: 0, 1 (the work failed) or 2 (the command was wrong).
    """
    if tokens is None:
        _let_threads_rest()
        tokens = sys.argv[1:]
    tokens = list(tokens)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            command, bound, wanted = make_app().parse_args(
                tokens, exit_on_error=False, print_error=False
            )
            if "given" in wanted:  # a verb that has to tell what was typed from a default
                bound.arguments["given"] = frozenset(bound.arguments)
            bound.apply_defaults()
            check_inputs_stay(command.__name__, bound.arguments)
            command(*bound.args, **bound.kwargs)
            sys.stdout.flush()
        return OK
    except CycloptsError as error:
        verb = tokens[0] if tokens and tokens[0] in _names() else ""
        return _end(
            error, f"{_plain(error)} Try: polymodal {verb + ' ' * bool(verb)}--help", WRONG
        )
    except CommandError as error:
        return _end(error, str(error), WRONG)
    except WorkError as error:
        return _end(error, str(error), FAILED)
    except KeyboardInterrupt as error:
        return _end(error, "Stopped by the keyboard.", FAILED)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        text = (
            str(error)
            if isinstance(error, ValueError | OSError | ModuleNotFoundError)
            else _named(error)
        )
        return _end(error, text or _named(error), FAILED)


def _let_threads_rest() -> None:
    """Let torch's threads sleep soon where they wait for each other, in a process that is ours.

    They spin long otherwise: beside other work each step of a small model then waits for whole
    turns of the processor. OpenMP reads this once, when torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _names() -> set[str]:
    return {module.__name__.rpartition(".")[2] for module in VERBS}


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error} (POLYMODAL_DEBUG=1 shows where.)"


def _plain(error: CycloptsError) -> str:
    text = one_line(str(error))
    if text.startswith("Unused Tokens:"):
        return f"Did not expect {text.removeprefix('Unused Tokens: ').strip('[].')}."
    return text


def _end(error: BaseException, sentence: str, code: int) -> int:
    if os.environ.get("POLYMODAL_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    print(f"polymodal: {one_line(sentence)}", file=sys.stderr)
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    print(f"polymodal: warning: {one_line(str(message))}", file=sys.stderr)
