"""The field's methods, in our own words, run on the same adapters as ours: one file each.

Each says what it is inspired by; none had the original's full text or code at hand.
"""
