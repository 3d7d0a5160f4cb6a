"""The corpus: every case is made by script from an honest adapter."""

from tests.hostile.cases import archives, configs, folders, pickles, weights
from tests.hostile.cases.case import Case

CASES: tuple[Case, ...] = (*configs.CASES, *weights.CASES, *pickles.CASES, *archives.CASES, *folders.CASES)
