"""The ways of dividing the work over ranks, a file each."""
