"""hpcgan trains GANs in parallel on HDF5 data; ``hpcgan.cli`` lists the commands."""

__version__ = "0.1.0"
