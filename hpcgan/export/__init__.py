"""A trained generator as a file of its own: Keras', a SavedModel, or ONNX.

``export`` is the way through; ``layers`` and ``model`` are what is exported, ``formats`` and
``metadata`` how it is written, ``verify`` and ``run_exported`` how it is read again by its own
runtime.
"""
