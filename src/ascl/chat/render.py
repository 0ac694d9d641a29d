"""From messages to token ids: the one place where a chat template is applied in process.

Every text is neutralised first, so control tokens come from the template alone. The same ids serve SFT, RL, evaluation
and serving.
"""

from dataclasses import dataclass
from typing import Any

from ascl.chat.dialects.dialect import Dialect
from ascl.chat.messages import Message
from ascl.chat.neutralise import neutralise, neutralise_messages


@dataclass
class Renderer:
    """Renders messages with a dialect's template and a tokenizer (a transformers fast tokenizer)."""

    tokenizer: Any
    dialect: Dialect

    def __post_init__(self) -> None:
        self.markers = tuple(sorted(self.tokenizer.get_added_vocab()))

    def text(
        self, messages: list[Message], tools: list[dict[str, Any]], generation_prompt: bool, rewrite: bool = False
    ) -> str:
        """The conversation as one text. rewrite: the split form of a text dialect (see `qwen_agent`)."""
        return self.tokenizer.apply_chat_template(
            [message.for_template() for message in neutralise_messages(messages, self.markers)],
            tools=tools or None,
            chat_template=self.dialect.template,
            add_generation_prompt=generation_prompt,
            rewrite=rewrite,
            tokenize=False,
        )

    def ids(self, text: str) -> list[int]:
        """Token ids of rendered text (no special tokens are added).

        A character the tokenizer has no tokens for (some control characters and rare planes in SmolLM2) is read as
        U+FFFD: the unknown token may be a control token (`<|endoftext|>` there), which no text may become.
        """
        ids = self._tokenise(text)
        if self.tokenizer.unk_token_id in ids:
            known = ("\ufffd" if self.tokenizer.unk_token_id in self._tokenise(char) else char for char in text)
            ids = self._tokenise("".join(known))
        return ids

    def _tokenise(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def prompt_ids(self, messages: list[Message], tools: list[dict[str, Any]]) -> list[int]:
        """Ids of a conversation up to where the model speaks."""
        return self.ids(self.text(messages, tools, generation_prompt=True))

    def suffix_ids(self, messages: list[Message], tools: list[dict[str, Any]]) -> list[int]:
        """Ids from behind the last model turn's end-of-turn token up to where the model speaks again.

        `messages` ends with that model turn and the tool messages that answer it. Appending these ids to the sampled
        ids keeps the model's own tokens as they were sampled: nothing is tokenised twice.
        """
        turn = max(i for i, message in enumerate(messages) if message.role == "assistant")
        before = self.text(messages[: turn + 1], tools, generation_prompt=False)
        before = before[: before.rindex(self.dialect.end_of_turn) + len(self.dialect.end_of_turn)]
        whole = self.text(messages, tools, generation_prompt=True)
        if not whole.startswith(before):
            raise AssertionError(f"the template of dialect {self.dialect.name} does not preserve prefixes")
        return self.ids(whole[len(before) :])

    def encode(
        self, messages: list[Message], tools: list[dict[str, Any]], rewrite: bool = False, given: str = ""
    ) -> tuple[list[int], list[int]]:
        """Ids of a whole conversation, and a mask of the same length: 1 for model tokens (end-of-turn included).

        Template text and model turns are tokenised piece by piece, as in a rollout: over the whole text, a token may
        span the border between them (qwen_agent's prompt ends with a space), and no rollout would have sampled it.

        given: the last turn's thought begins with this text; up to its end the turn counts as given, not as the model's
        (mask 0), as if it had been prefilled. Raises ValueError where the thought begins otherwise.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        rendered: Any = render_jinja_template(
            [[message.for_template() for message in neutralise_messages(messages, self.markers)]],
            tools=list(tools) or None,
            chat_template=self.dialect.template,
            return_assistant_tokens_mask=True,
            rewrite=rewrite,
        )
        (text,), (turns,) = rendered
        if given:
            turns = [*turns[:-1], (self._behind(given, text, *turns[-1]), turns[-1][1])]
        ids: list[int] = []
        mask: list[int] = []
        at = 0
        for first, end in [*turns, (len(text), len(text))]:
            for piece, by_model in ((text[at:first], 0), (text[first:end], 1)):
                new = self.ids(piece)
                ids += new
                mask += [by_model] * len(new)
            at = end
        return ids, mask

    def _behind(self, given: str, text: str, first: int, end: int) -> int:
        """Where in the rendered turn text[first:end] the given beginning of its thought ends."""
        given = neutralise(given, self.markers).strip()
        opening = text.find(given, first, end)
        if opening < 0 or text[first:opening].strip() not in ("", "<think>"):
            raise ValueError("the last turn's thought does not begin with no_loss_prefix")
        return opening + len(given)

    def parse_ids(self, ids: list[int]) -> tuple[str, bool]:
        """The text of sampled ids without their end-of-turn token, and whether that token was there."""
        end = self.tokenizer.convert_tokens_to_ids(self.dialect.end_of_turn)
        ended = bool(ids) and ids[-1] == end
        kept = ids[:-1] if ended else ids
        return self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False), ended
