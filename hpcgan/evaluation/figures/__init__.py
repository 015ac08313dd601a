"""The figures that compare a set of samples with a reference: a file each, and their table."""
