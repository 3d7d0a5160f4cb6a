"""`scan verify`: a saved report read as untrusted data, checked against the files and repeated."""
