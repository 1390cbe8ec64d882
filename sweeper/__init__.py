"""From one study file to the tables, the figures and the configuration to train for keeps.

Importing this package loads neither torch nor Ray.
"""

__version__ = "0.1.0"
