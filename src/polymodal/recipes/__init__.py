"""Recipes: one file a paper."""

from polymodal.recipes.jmvae import jmvae as jmvae
from polymodal.recipes.mmvae import mmvae as mmvae
from polymodal.recipes.mopoe import mopoe as mopoe
from polymodal.recipes.mvae import mvae as mvae
from polymodal.recipes.mvtcae import mvtcae as mvtcae
from polymodal.recipes.registry import RECIPES as RECIPES
from polymodal.recipes.registry import Recipe as Recipe
from polymodal.recipes.registry import get_recipe as get_recipe
from polymodal.recipes.registry import recipe as recipe
