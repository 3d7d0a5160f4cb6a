"""What a loader would unpickle or open: pickles, archives and arrays, judged without loading them."""
