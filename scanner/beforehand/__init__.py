"""What was measured beforehand on adapters of known truth, and is told beside a scan's own figures.

- `honest_variation`: how much clean adapters differ among themselves, by metric.
- `measured_recall`: how often the search finds what is planted.

The classifier's calibration, which is applied rather than told, is in `scanner/score/`.
"""
