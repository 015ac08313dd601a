"""A trained generator as a file of its own: Keras', a SavedModel, or ONNX.

``export`` is the way through; ``layers`` and ``model`` are what leaves, ``formats`` and ``metadata``
how it is written, ``verify`` and ``run_exported`` how it is read again by its own runtime.
"""
