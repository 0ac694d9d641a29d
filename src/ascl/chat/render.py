"""From messages to token ids: the one place where a chat template is applied in process.

Control tokens come from the template alone: every text is neutralised first, and `tokenise.py` checks by place whether
that was enough. The same ids serve SFT, RL, evaluation and serving.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ascl.chat.dialects.dialect import Dialect
from ascl.chat.messages import Message, Opening
from ascl.chat.neutralise import neutralise, neutralise_messages
from ascl.chat.tokenise import Rendered, Span, Tokeniser


def apply_template(
    template: str,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    generation_prompt: bool = False,
    rewrite: bool = False,
) -> tuple[str, list[Span]]:
    """The text that a chat template makes of messages in template form, and the model's turns in it.

    By transformers' own function, so that a saved folder gives every other program the same text. The turns (the parts
    that `{% generation %}` marks) are given without a generation prompt only.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered: Any = render_jinja_template(
        [messages],
        tools=list(tools) or None,
        chat_template=template,
        add_generation_prompt=generation_prompt,
        return_assistant_tokens_mask=not generation_prompt,
        rewrite=rewrite,
    )
    (text,), turns = rendered
    return text, (turns or [[]])[0]


@dataclass
class Renderer:
    """Renders messages with a dialect's template and a tokenizer (a transformers fast tokenizer)."""

    tokenizer: Any
    dialect: Dialect

    def __post_init__(self) -> None:
        self._tokeniser = Tokeniser(self.tokenizer)
        self.markers = tuple(sorted({*self._tokeniser.markers, *self.dialect.marks}))

    def text(
        self, messages: list[Message], tools: list[dict[str, Any]], generation_prompt: bool, rewrite: bool = False
    ) -> str:
        """The conversation as one text. rewrite: the split form of a text dialect (see `qwen_agent`)."""
        return self._rendered(messages, tools, generation_prompt, rewrite).text

    def _rendered(
        self, messages: list[Message], tools: list[dict[str, Any]], generation_prompt: bool, rewrite: bool = False
    ) -> Rendered:
        """The template is given every text between two characters that none of them holds, which are taken out again.

        The templates of `dialects/` write each text whole; they trim what the model said, which is done before.
        """
        clean = [message.for_template() for message in neutralise_messages(messages, self.markers)]
        held = set(json.dumps(clean, ensure_ascii=False))
        begin, end = [c for c in map(chr, range(0x10FFFF, 0x10FFFD - len(held) - 2, -1)) if c not in held][:2]
        written = [_marked(message, begin, end) for message in clean]
        marked, turns = apply_template(self.dialect.template, written, tools, generation_prompt, rewrite)
        return Rendered.of_marked(marked, begin, end, turns)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text that the template wrote, or that may hold its tokens (no special tokens are added)."""
        return self._tokeniser.ids(Rendered(text))

    def opening_text(self, opening: Opening) -> str:
        """The text that a turn is given to begin with, in the dialect; markers in its thought are broken."""
        return self.dialect.opening(self._clean(opening))

    def opening_ids(self, opening: Opening) -> list[int]:
        """Token ids of `opening_text`."""
        thought, before = self._clean(opening).thought, len(self.dialect.opens)
        return self._tokeniser.ids(Rendered(self.opening_text(opening), [(before, before + len(thought))]))

    def _clean(self, opening: Opening) -> Opening:
        return Opening(neutralise(opening.thought, self.markers), opening.closed)

    def prompt_ids(self, messages: list[Message], tools: list[dict[str, Any]]) -> list[int]:
        """Ids of a conversation up to where the model speaks."""
        return self._tokeniser.ids(self._rendered(messages, tools, generation_prompt=True))

    def suffix_ids(self, messages: list[Message], tools: list[dict[str, Any]]) -> list[int]:
        """Ids from after the last model turn's end-of-turn token up to where the model speaks again.

        `messages` ends with that model turn and the tool messages that answer it. Appending these ids to the sampled
        ids keeps the model's own tokens as they were sampled: nothing is tokenised twice.
        """
        turn = max(i for i, message in enumerate(messages) if message.role == "assistant")
        rendered = self._rendered(messages[: turn + 1], tools, generation_prompt=False)
        before = rendered.text[: rendered.turns[-1][1]]
        whole = self._rendered(messages, tools, generation_prompt=True)
        if not whole.text.startswith(before):
            raise AssertionError(f"the template of dialect {self.dialect.name} does not preserve prefixes")
        return self._tokeniser.ids(whole.cut(len(before), len(whole.text)))

    def encode(
        self, messages: list[Message], tools: list[dict[str, Any]], rewrite: bool = False, given: str = ""
    ) -> tuple[list[int], list[int]]:
        """Ids of a whole conversation, and a mask of the same length: 1 for model tokens (end-of-turn included).

        Template text and model turns are tokenised piece by piece, as in a rollout: over the whole text, a token may
        span the border between them (qwen_agent's prompt ends with a space), and no rollout would have sampled it.

        given: the last turn's thought begins with this text; up to its end the turn counts as given, not as the model's
        (mask 0), as if it had been prefilled. Raises ValueError where the thought begins otherwise.
        """
        rendered = self._rendered(messages, tools, generation_prompt=False, rewrite=rewrite)
        text, turns = rendered.text, rendered.turns
        if given:
            turns = [*turns[:-1], (self._behind(given, text, *turns[-1]), turns[-1][1])]
        ids: list[int] = []
        mask: list[int] = []
        at = 0
        for first, end in [*turns, (len(text), len(text))]:
            for begin, stop, by_model in ((at, first, 0), (first, end, 1)):
                new = self._tokeniser.ids(rendered.cut(begin, stop))
                ids += new
                mask += [by_model] * len(new)
            at = end
        return ids, mask

    def _behind(self, given: str, text: str, first: int, end: int) -> int:
        """Where in the rendered turn text[first:end] the given beginning of its thought ends."""
        given = neutralise(given, self.markers).strip()
        opening = _after_blanks(text, first)
        if text.startswith(self.dialect.opens.strip(), opening):
            opening = _after_blanks(text, opening + len(self.dialect.opens.strip()))
        if not text[opening:end].startswith(given):
            raise ValueError("the last turn's thought does not begin with no_loss_prefix")
        return opening + len(given)

    @cached_property
    def end_ids(self) -> list[int]:
        """The ids of the tokens that end a model turn."""
        return [self.tokenizer.convert_tokens_to_ids(end) for end in self.dialect.ends]

    def parse_ids(self, ids: list[int]) -> tuple[str, bool]:
        """The text of sampled ids without their end-of-turn token, and whether that token was there."""
        ended = bool(ids) and ids[-1] in self.end_ids
        kept = ids[:-1] if ended else ids
        return self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False), ended


def _after_blanks(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())


def _marked(message: dict[str, Any], begin: str, end: str) -> dict[str, Any]:
    """A message in template form whose every text stands between `begin` and `end`; what is empty stays empty.

    Arguments are given as the JSON that the templates would make of them.
    """

    def mark(text: str) -> str:
        return f"{begin}{text}{end}" if text else text

    marked = dict(message)
    for key in ("content", "reasoning_content"):
        if key in message:
            marked[key] = mark(message[key].strip() if message["role"] == "assistant" else message[key])
    if "tool_calls" in message:
        functions = [call["function"] for call in message["tool_calls"]]
        written = [json.dumps(function["arguments"], ensure_ascii=False) for function in functions]
        marked["tool_calls"] = [
            {"function": {"name": mark(function["name"]), "arguments": mark(arguments)}}
            for function, arguments in zip(functions, written, strict=True)
        ]
    return marked
