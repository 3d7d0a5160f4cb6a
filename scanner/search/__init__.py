"""The search for unknown triggers. Pure but for running models; docs/search.md says how it works and why.

`find.py` runs it and `hunt.py` climbs its rungs: leaks (`leak.py`), saliency (`vocabulary/`), elicitation
(`elicitation/`), a sweep (`sweep.py`) and growth (`inversion/`). What comes out is answered freely (`screen.py`),
verified on fresh prompts (`verify.py`) and held against `controls/`.
"""
