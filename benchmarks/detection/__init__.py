"""How well are poisoned adapters told from clean ones of recipes that the detector has not seen?

- `folds`: an attack family against a clean recipe, both held out; intervals resampled by family and recipe.
- `detectors`: what is compared: features of single rungs, all of them, controls that must be at chance.
- `__main__`: the table.
"""
