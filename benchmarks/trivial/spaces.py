"""The range of the trivial method."""

from search_spaces.space import Float, Spaces

SPACES = Spaces(
    method="trivial",
    spaces={"rate": {"learn.rate": Float(0.0, 1.0)}},
    default_space="rate",
    ablation=(),
    sensitivity={},
    requires=("audio",),
    needs={},
)
