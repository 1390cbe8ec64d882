from search_spaces.space import Float, Spaces

SPACES = Spaces(
    method="grouped",
    spaces={"all": {"fit.rate": Float(0.01, 1.0, log=True)}},
    default_space="all",
    ablation=(),
    sensitivity={"fit.rate": (0.01, 0.1, 1.0)},
    published=(),
    requires=("audio",),
    needs={},
)
