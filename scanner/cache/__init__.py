"""What scans keep for one another in the user's cache: everything in it can be made again, and changes no verdict.

`folder` says where it is, what lies in it and how it is cleared; `vocabulary` keeps the pass over a base's vocabulary.
"""
