"""What a verified string must stand before it counts, a control a file."""
