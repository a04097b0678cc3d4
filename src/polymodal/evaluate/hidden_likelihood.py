r"""Log-likelihood of what was hidden given what was shown: of whole modalities and of cells.

.. math:: \log p(x_h \mid x_s) = \log \operatorname{ME}_k\, p(x_h \mid z_k),
          \qquad z_k \sim q(z \mid x_s)

ME is the mean of exponentials. It is the predictive density of ``polymodal.tasks.log_likelihood``
for any hidden part of a row, cells of a table included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.evaluate.questions import Question
from polymodal.model import Lacking, LatentModel
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.given_nothing import prior_where_nothing
from polymodal.tasks.importance import log_given_z, log_means
from polymodal.typing import Batch, Present, rows_present


@torch.no_grad()
def hidden_log_likelihood(
    model: LatentModel, question: Question, *, samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """What a model thought of the answers before it knew them.

    Arguments:
        model: The model.
        question: Rows with something hidden, on the model's device.
        samples: Draws a row, K.
        seed: The draws follow from it.

    Returns:
        Nats of the codec's units, float64 ``(N,)``, and in which rows anything was hidden.

    Raises:
        Lacking: If the family cannot answer for hidden modalities, or has no density of them.
    """
    model.check_offers("translate")
    source, names = question.hidden, question.names
    asked = {name: question.asked[name].to(source.device) for name in names}
    scored = torch.stack([rows_present(mask) for mask in asked.values()]).any(0)
    found: list[Tensor] = []
    with asking(model, seed):
        for rows in chunks(len(source), samples, source.device):
            x, present = source.gather(rows)
            hidden = {name: mask[rows] for name, mask in asked.items()}
            q = model.answer_posterior(x, present)

            def terms(
                z: Tensor, x: Batch = x, shown: Present = present, hidden: Present = hidden
            ) -> list[Tensor]:
                return [log_given_z(model, prior_where_nothing(model, z, shown), x, hidden)]

            try:
                found.append(log_means(q, samples, terms)[0].value)
            except NotImplementedError as error:
                raise Lacking(
                    f"this family ({type(model).__name__}) has no density of single answers."
                ) from error
    return torch.cat(found).cpu(), scored.cpu()
