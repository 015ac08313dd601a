"""From HDF5 files to batches: source (files), shards (which samples, in which order), feed."""
