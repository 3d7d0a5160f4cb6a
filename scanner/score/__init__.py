"""How unusual is an adapter, by its features, among adapters whose truth is known?

- `circumstances`: under what features were measured.
- `vector`: named features with reasons for those that are missing.
- `calibration`: the fitted classifier as readable JSON, read strictly.
- `classifier`: logistic regression applied, each feature's part in it, and how far it is from all that was seen.
- `conformal`: p-values against the clean adapters.

The fit itself is `trainers/calibrate.py`. A score accuses nobody: at most it makes a verdict `SUSPICIOUS`.
"""
