"""Loaders of public data sets from the files as their authors publish them.

Each looks for the files of one data set, checks that what belongs together stands together, and
gives :class:`Labelled`: the modalities, and beside them the labels, which no model sees. Nothing
is downloaded. ``docs/datasets.md`` says where the files are to be had and how they must lie.
"""

from __future__ import annotations

from polymodal.data.public.celeba import celeba
from polymodal.data.public.cub import cub
from polymodal.data.public.flickr import flickr_tags
from polymodal.data.public.labelled import Labelled
from polymodal.data.public.mhd import mhd
from polymodal.data.public.mnist_pairs import mnist_handsign, mnist_speech
from polymodal.data.public.mnist_svhn import ALPHABET, mnist_svhn
from polymodal.data.public.polydigits import polydigits
from polymodal.data.public.polymnist import polymnist

__all__ = [
    "ALPHABET",
    "Labelled",
    "celeba",
    "cub",
    "flickr_tags",
    "mhd",
    "mnist_handsign",
    "mnist_speech",
    "mnist_svhn",
    "polydigits",
    "polymnist",
]
