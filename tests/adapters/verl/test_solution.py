"""Which dialects survive verl's way of handing a response on: as a text without special tokens."""

import pytest

from ascl.adapters.verl.solution import check_readable
from ascl.chat.dialects import DIALECTS
from ascl.chat.render import Renderer
from ascl.errors import InputError


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_of_special_tokens_is_refused(renderers: dict[str, Renderer], dialect: str) -> None:
    if dialect not in ("gpt_oss", "mistral"):
        check_readable(renderers[dialect])
        return
    with pytest.raises(InputError, match=f"dialect {dialect} writes thoughts with special tokens"):
        check_readable(renderers[dialect])
