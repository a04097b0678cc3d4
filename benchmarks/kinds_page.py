"""What the runs of ``kinds.py`` and ``kinds_text.py`` printed, kept and gathered on a page."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import textwrap
from collections.abc import Iterator
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "kinds"
PAGE = Path(__file__).parent.parent / "docs" / "kinds.md"
SETS = {
    "fashion": "Image and caption",
    "emoji": "Image and its names in six languages",
    "git": "A sentence in four languages",
    "speech": "Written digit and spoken digit",
    "signs": "Written digit and photograph of a hand sign",
    "spikes": "Sound and the spikes of a receptor",
    "adrenal": "Five assays of tumours, some never made",
    "breast": "Three assays of tumours, one withheld at test",
    "tags": "Image, its tags and its group",
}
SETTINGS = {
    "fashion": "All settings are the library's defaults.",
    "emoji": "Training ended by the clock (`--max-seconds`); all else is the library's default.",
    "git": "Training ended by the clock (`--max-seconds`), and 400 rows drawn at random are "
    "held out; all else is the library's default.",
    "speech": "The first 2,000 of 10,000 training pairs and 400 of 2,000 test pairs; 60 epochs, "
    "three tenths of what the library would take for so many rows.",
    "signs": "The first 2,000 of 20,000 training pairs and 400 of 4,000 test pairs; 60 epochs, "
    "three tenths of what the library would take for so many rows.",
    "spikes": "75 epochs, two thirds of what the library would take; the spikes' likelihood "
    "(negative binomial, as for all counts) and the convolutional networks of series are its "
    "defaults.",
    "adrenal": "`latent_dim=8` (by default 32) and 200 epochs, half of the library's number; a "
    "quarter of the rows is held out.",
    "breast": "`latent_dim=8` (by default 32) and 200 epochs, half of the library's number; a "
    "quarter of the rows that are not the data's own test rows is held out.",
    "tags": "`min_count=10`: of the tags those that ten training rows have (by default two); 30 "
    "epochs, about an eighth of the library's number.",
}
"""What each set is run with that is not a default; the scripts hold it."""
_HEAD = """# Each kind of modality on real data

A modality is hidden in rows that the model never saw and told from the others, beside simple
methods that see the same rows. These are the runs as they were printed; where a simple method is
better, it says so. The recipe stands in each run (the default is `polymodal`), and settings are
the library's defaults but for those that stand above each run; most runs have fewer epochs, so
that they take minutes. Runs of texts are older: they have `mopoe`, encoders of pictures that did
not leak, texts that may say that a word is unknown, and BLEU of Japanese that takes a whole name
for a word. What DIR must hold stands at the head of each script. The five pictures of one digit
(PolyMNIST's protocol) are on the page of [fidelity](fidelity.md).

*skill* is 1 - error / error of the best simple method: above 0 the model is better, [low, high]
its bootstrap interval. *mean* tells the training mean (or the most frequent answer), *linear* is
a ridge or logistic regression, *knn* the five nearest rows.

Of texts, *exact* is the share of answers that are the wanted text, *words* the F1 of their
words, *chrF* and *BLEU* (0 to 100) are of the whole corpus, and *CCA* is the mean canonical
correlation of what was given and what was answered, along axes fitted on training pairs: 0
where they have nothing to do with each other, and for the real pairs as much as there is to
say. A picture made from a text has its *rmse* and *found*, how often it is nearer to the wanted
picture than to those of nine other rows (.1 by chance)."""


@contextlib.contextmanager
def recorded(name: str, *, keep: bool) -> Iterator[None]:
    """Print as ever and, with ``keep``, write what was printed to the results and the page."""
    if not keep:
        yield
        return
    text = io.StringIO()
    with contextlib.redirect_stdout(_Both(text, sys.stdout)):  # pyright: ignore[reportArgumentType]
        yield
    command = _command(name, sys.argv)
    RESULTS.mkdir(parents=True, exist_ok=True)
    said = f"$ {command}\n# {date.today().isoformat()}\n\n{text.getvalue().strip()}\n"
    (RESULTS / f"{name}.txt").write_text(said)
    write_page()


class _Both(io.TextIOBase):
    """Writes to two streams."""

    def __init__(self, *streams: io.TextIOBase) -> None:
        self.streams = streams

    def write(self, said: str) -> int:
        """Write to each."""
        for one in self.streams:
            one.write(said)
        return len(said)

    def flush(self) -> None:
        """Flush each."""
        for one in self.streams:
            one.flush()


def _command(name: str, given: list[str]) -> str:
    """What runs this set alone, with DIR where this machine's folder stands."""
    script = Path(given[0]).name
    select = {"kinds.py": "--only", "kinds_text.py": "--sets"}[script]
    said, option = ["python", f"benchmarks/{script}"], ""
    for argument in given[1:]:
        words = argument.split("=", 1) if argument.startswith("--") else [argument]
        option = words[0] if argument.startswith("--") else option
        if option == "--data":
            words = [word if word == option else "DIR" for word in words]
        if option != select:
            said += words
    return shlex.join([*said, select, name])


def write_page() -> None:
    """Write docs/kinds.md from the results that are there."""
    parts = [_HEAD]
    for name, title in SETS.items():
        path = RESULTS / f"{name}.txt"
        if path.exists():
            printed = path.read_text().rstrip()
            said = textwrap.fill(SETTINGS[name], 98, break_on_hyphens=False)
            parts.append(f"## {title}\n\n{said}\n\n```text\n{printed}\n```")
    PAGE.write_text("\n\n".join(parts) + "\n")
