"""The build of hwr-read gives the package that it takes over its own name."""

import sys

import pytest


def test_the_name_is_replaced_in_code_alone(hook):
    source = 'import hwr_jax.core as c  # of hwr_jax\nfrom hwr_jax import x\ny = hwr_jax.core, "hwr_jax"\n'
    new = 'import hwr_read.core as c  # of hwr_jax\nfrom hwr_read import x\ny = hwr_read.core, "hwr_jax"\n'
    assert hook.renamed(source) == new
    if sys.version_info >= (3, 12):
        assert hook.renamed('f"{hwr_jax.x}"') == 'f"{hwr_read.x}"'
    else:
        with pytest.raises(ValueError, match=r"hwr_jax is used in the f-string"):
            hook.renamed('f"{hwr_jax.x}"')
