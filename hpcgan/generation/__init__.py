"""Samples of trained generators, as many as are wanted: ``hpcgan generate``."""
