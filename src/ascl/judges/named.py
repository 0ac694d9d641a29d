"""A judge as it is named in one word: `offline`, `KIND:MODEL`, `KIND:MODEL@URL` or `package.module:ClassName`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ascl.judges.settings import JudgeSettings

DEFAULT = "qwen3guard:Qwen/Qwen3Guard-Gen-0.6B"
HELP = "`offline`, KIND:MODEL (in this process), KIND:MODEL@URL (a server), or a class: package.module:ClassName"


def judge_settings(text: str, option: str = "--judge") -> "JudgeSettings":
    """The settings of a judge that `option` names. Raises InputError naming the forms."""
    from pydantic import ValidationError

    from ascl.errors import InputError, first_problem
    from ascl.extension import is_import_path
    from ascl.judges.settings import KINDS, JudgeSettings

    kind, _, model = text.partition(":")
    name, _, url = model.partition("@")
    own = kind not in KINDS and is_import_path(text)
    given = {"kind": text} if own else {"kind": kind, "model": name or None, "base_url": url or None}
    try:
        return JudgeSettings.model_validate(given)
    except ValidationError as error:
        raise InputError(f"{option} {text}: {first_problem(error)}; use {HELP}, e.g. {DEFAULT}") from error
