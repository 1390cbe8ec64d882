"""Methods, corpora and protocols: the science, without Ray.

Importing this package loads neither torch nor a method: `trainables.methods.get` does, when asked.
"""
