"""The options that several verbs share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from polymodal.cli.numbers import check_seed

Model = Annotated[Path, Parameter(help="A model file that `polymodal fit` wrote.")]
Data = Annotated[
    str,
    Parameter(help="A CSV or Parquet file, or bundled:NAME (fashion, mfeat, tcga_acc, penguins)."),
]
Json = Annotated[
    bool, Parameter(name="--json", help="Print one JSON document on standard output.")
]
Out = Annotated[Path, Parameter(help="Where to write; .parquet or .csv.")]
Text = Annotated[
    str | None,
    Parameter(
        help='How texts are written: greedy, "beam, width=8" or "sample, temperature=0.7, '
        'top_p=0.9"; plain if not given.'
    ),
]
Seed = Annotated[int, Parameter(help="All draws follow from it.", validator=check_seed)]
ModelSeed = Annotated[
    int | None,
    Parameter(
        help="All draws follow from it; the model's own if not given.", validator=check_seed
    ),
]
SplitSeed = Annotated[
    int, Parameter(help="Which rows are judged on follows from it.", validator=check_seed)
]
Train = Annotated[
    str | None,
    Parameter(help="The training rows, which the simple methods learn from; else half of DATA."),
]
PrivateDim = Annotated[
    int | None,
    Parameter(help="Further numbers of each modality alone; as the recipe has it if not given."),
]
Network = Annotated[
    list[str] | None,
    Parameter(help="A setting of the networks, such as series=recurrent. May be repeated."),
]
