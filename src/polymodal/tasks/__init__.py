"""Tasks: what a user asks; model + data -> a typed result."""

from polymodal.tasks.attribute import attribute as attribute
from polymodal.tasks.cluster import Clusters as Clusters
from polymodal.tasks.cluster import cluster as cluster
from polymodal.tasks.generate import embed as embed
from polymodal.tasks.generate import generate as generate
from polymodal.tasks.impute import Imputed as Imputed
from polymodal.tasks.impute import impute as impute
from polymodal.tasks.log_likelihood import LogLikelihood as LogLikelihood
from polymodal.tasks.log_likelihood import log_likelihood as log_likelihood
from polymodal.tasks.translate import reconstruct as reconstruct
from polymodal.tasks.translate import translate as translate
from polymodal.tasks.traverse import factorisation_grid as factorisation_grid
from polymodal.tasks.traverse import traverse as traverse
from polymodal.tasks.walked import Direction as Direction
from polymodal.tasks.walked import Traversal as Traversal
from polymodal.tasks.walked import walk as walk
