"""Scaling studies, their report, and a cost model of a training step that predicts other sizes."""
