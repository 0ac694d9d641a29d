"""A choice whose answer is held back until the guard has judged it: it is sent as it is, or a fixed text in its place.

Streams and whole replies are made from what comes out here, so a guard that is asked for one is asked for the other.
Judged is all the text that the client would get, of every turn of the model, against what the client's user said.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ascl.serve.books import Pinned
from ascl.serve.guards.guard import GatewayGuard, GuardFailed, case_of
from ascl.serve.loop import Choice, Piece, Verdict, Walked

WITHHELD = "This answer was withheld by a safety check."


async def guarded(
    choice: Choice, guard: GatewayGuard | None, pinned: Pinned, fail_open: bool
) -> AsyncGenerator[Piece, None]:
    """The pieces of a choice once its text has passed, else of the text that stands for it.

    Raises RequestFailed as the choice does; GuardFailed where there is no verdict, unless `fail_open`.
    """
    walked = choice.walked
    async with aclosing(choice.pieces()) as pieces:
        async for _ in pieces:
            pass  # they stand in `given`
    walked.verdict = await _verdict(walked, guard, pinned, fail_open)
    if walked.verdict == "unsafe":
        walked.given[:] = [Piece(text=WITHHELD)]  # in the place of all that the model said, thought and looked up
        walked.calls, walked.logprobs, walked.finish_reason = [], [], "content_filter"
    elif walked.verdict == "no_text":
        walked.given.clear()  # thoughts and queries that nothing was judged with
    for piece in walked.given:
        yield piece


async def _verdict(walked: Walked, guard: GatewayGuard | None, pinned: Pinned, fail_open: bool) -> Verdict:
    if not walked.text.strip():
        return "no_text"
    trajectory = walked.trajectory
    case = case_of(trajectory.messages[: trajectory.prompt_length], walked.text, trajectory.consultations)
    try:
        if guard is None:
            raise GuardFailed("no_guard", "the gateway was started without one", passing=False)
        return "unsafe" if (await guard.judge(case, pinned)).unsafe else "safe"
    except GuardFailed as failed:
        walked.verdict, walked.unjudged = "unjudged", failed.kind
        if fail_open:
            return "unjudged"
        raise
