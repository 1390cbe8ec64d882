"""From recordings and transcripts to feature vectors, in one process; `sweeper.features` spreads it over a cluster.

A `Request` says what is wanted. `work` gives the utterances of a corpus that it is about, `batches` puts those of like
length together, and `vectors` encodes batches with an extractor that `load` made::

    request = checked(Request(encoder="egemaps", modality="audio"))
    extractor = load(request)
    for item, values, reason in vectors(extractor, request, batches(work(folder, request).items, 60)):
        ...
"""

from __future__ import annotations

from trainables.extraction.encode import load, vectors
from trainables.extraction.items import Item, Work, batches, work
from trainables.extraction.request import Request, checked, identity

__all__ = ["Item", "Request", "Work", "batches", "checked", "identity", "load", "vectors", "work"]
