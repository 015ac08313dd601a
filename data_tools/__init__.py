"""The command ``hpcgan-data``: HDF5 files to train on. Imports no TensorFlow."""
