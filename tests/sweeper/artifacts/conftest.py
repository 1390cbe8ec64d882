"""Places to keep stages in: a folder, and a bucket of a server that speaks S3."""

import pytest

from sweeper.artifacts.place import Folder, Place


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def place(request, tmp_path) -> Place:
    """An empty place of each kind."""
    if request.param == "folder":
        return Folder(tmp_path / "stages")
    from sweeper.artifacts.s3 import Bucket

    return Bucket(request.getfixturevalue("bucket_url"))
