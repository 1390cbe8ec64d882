"""What a figure says of a point when one points at it: SVG titles."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from matplotlib.artist import Artist

#: Points of one artist that get a text each; with more, nobody could point at one.
MOST = 400
_MARK, _BETWEEN = "tip:", "\n"
_GROUP = re.compile(rf"""<g id=(["']){_MARK}(.*?)\1>""", re.DOTALL)
#: What XML cannot hold, however it is written.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_POINT = re.compile(r"<use ([^>]*)/>")


def tip(artist: Artist, texts: str | Sequence[str]) -> None:
    """Give an artist a text, or each point of a scatter one, in their order; too many points get none.

    The text travels in the artist's id, which `titled` takes out of the SVG again.
    """
    lines = [texts] if isinstance(texts, str) else list(texts)
    if len(lines) <= MOST:
        artist.set_gid(_MARK + _BETWEEN.join(" ".join(_UNFIT.sub("", line).split()) for line in lines))


def titled(svg: str) -> str:
    """An SVG in which the texts given by `tip` are titles of what they belong to."""
    parts, rest = [], svg
    while found := _GROUP.search(rest):
        texts = html.unescape(found[2]).split(_BETWEEN)
        end = _end(rest, found.end())
        parts += [rest[: found.start()], "<g>", _filled(rest[found.end() : end], texts)]
        rest = rest[end:]
    return "".join([*parts, rest])


def _filled(group: str, texts: list[str]) -> str:
    """The inside of a group with one title, or one at each of its points."""
    titles = [f"<title>{html.escape(text)}</title>" for text in texts]
    if len(titles) == 1:
        return titles[0] + group
    if len(_POINT.findall(group)) != len(titles):  # points outside the axes are not drawn
        return group
    left = iter(titles)
    return _POINT.sub(lambda point: f"<use {point[1]}>{next(left)}</use>", group)


def _end(text: str, start: int) -> int:
    """Where the group ends whose inside begins at `start`."""
    depth = 1
    for tag in re.finditer(r"<g\b|</g>", text[start:]):
        depth += 1 if tag[0] == "<g" else -1
        if depth == 0:
            return start + tag.start()
    raise ValueError("a group of the SVG does not end")
