"""Which record the reader opens with: one that shows what the method is about, and whose verdict is plainly right."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ascl.chat.messages import StopReason
from ascl.data.prompt import Kind
from ascl.judges.lexical.refusal import classify_refusal
from ascl.judges.record import Outcome, Record
from ascl.judges.verdict import Refusal

FIRST = 4000  # characters of an answer that may stand first
MOST_TRIED = 100  # records whose words are looked at for that


def standing(record: Record, trained: bool) -> tuple[int, Refusal | None]:
    """How well a record can stand first, from 0, and what the words of its answer must say to do so.

    Best is a harmful prompt refused by a trained model that consulted; then a problem solved, or a harmless prompt
    complied with. The answer is whole and short enough to be read at once.
    """
    trajectory, answer = record.trajectory, record.trajectory.answer
    if answer is None or len(answer) > FIRST or trajectory.stop is not StopReason.ANSWERED or trajectory.faults:
        return 0, None
    if record.outcome is Outcome.REFUSED and record.prompt.kind is Kind.HARMFUL and record.verdict.safe:
        return 3 + 2 * trajectory.consulted + trained, Refusal.FULL_REFUSAL
    if record.outcome is Outcome.CORRECT:
        return 2, None
    return (1, Refusal.FULL_COMPLIANCE) if record.outcome is Outcome.COMPLIED else (0, None)


class _Candidate(NamedTuple):
    """A record that may stand first; the least is the best."""

    rank: int
    place: int
    prompt: str
    answer: str
    words: Refusal | None


@dataclass
class Opening:
    """Looks for the record of the best `standing` whose words agree with its verdict; no judge is asked."""

    candidates: list[_Candidate] = field(default_factory=list)

    def offer(self, place: int, record: Record, trained: bool) -> None:
        """Consider the record at this place."""
        rank, words = standing(record, trained)
        if rank:
            answer = record.trajectory.answer or ""
            self.candidates.append(_Candidate(-rank, place, record.prompt.text, answer, words))

    def place(self) -> int | None:
        """The place of the one that was found, if any."""
        best = sorted(self.candidates, key=lambda one: one[:2])[:MOST_TRIED]
        agree = (one.place for one in best if one.words in (None, classify_refusal(one.prompt, one.answer)))
        return next(agree, None)
