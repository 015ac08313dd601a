"""Scaling studies: a cost model of a training step, fitted to what was measured."""
