"""Set-up of the tests of experiments: none of them reads what the book has computed."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache for each module, whose tests share what they train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MVTHEORY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
