"""What the timed benchmarks share: sides measured in turn, figures with their claims, tables, and the files that keep them."""
