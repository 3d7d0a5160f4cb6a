"""What the performance claims rest on: `make bench` runs each file here and writes benchmarks/results.json."""
