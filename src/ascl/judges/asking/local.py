"""A judging model in this process, with its own chat template, asked in batches.

Its control tokens come from that template and from our own question alone: each untrusted text stands between two
characters until it is tokenised (`chat/tokenise.py`), and a system message, which may hold rules, is such a text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ascl.chat.neutralise import neutralise
from ascl.chat.tokenise import Rendered, Tokeniser
from ascl.errors import InputError
from ascl.judges.guards.guard import Messages
from ascl.models.model_folder import load_tokenizer
from ascl.models.models import load_model
from ascl.models.sampling import Sampling
from ascl.progress import console

_BEGIN, _END = "\U0010fffe", "\U0010ffff"  # of an untrusted text; noncharacters, which mean nothing anywhere


@dataclass
class LocalModel:
    """A hub id or a folder, loaded when it is first asked. batch: texts at once. template: instead of its own."""

    model: str
    revision: str | None = None
    template: str | None = None
    batch: int = 16
    left_out: int = field(default=0, init=False)  # texts that were too long for it

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self.model, self.revision, padding_side="left")
        tokenizer.chat_template = self.template or tokenizer.chat_template
        if tokenizer.chat_template is None:
            raise InputError(f"model {self.model}: its tokenizer has no chat template, so it is no guard of this kind")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    @cached_property
    def _weights(self) -> Any:
        from transformers import GenerationConfig

        model = load_model(self.model, revision=self.revision).eval()
        # How its folder would have it sampled (beams, penalties, forced tokens) is no part of a verdict.
        model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
        return model

    @cached_property
    def _tokeniser(self) -> Tokeniser:
        return Tokeniser(self._tokenizer)

    def untrusted(self, text: str) -> str:
        """See `AskedModel`. Blanks around a text stay outside: many templates take them away."""
        text = neutralise(text.translate(dict.fromkeys(map(ord, (_BEGIN, _END)), "\ufffd")), self._tokeniser.markers)
        inner = text.strip()
        before, _, after = text.partition(inner) if inner else ("", "", text)
        return f"{before}{_BEGIN}{inner}{_END}{after}"

    def ask(self, conversations: list[Messages], sampling: Sampling, heard: Callable[[int, str | None], None]) -> None:
        """See `AskedModel`. A text that does not fit the model is left out: a cut one would be judged as if whole."""
        if not conversations:
            return
        conversations = [list(map(self._placed, conversation)) for conversation in conversations]
        render = self._renderer(conversations[0])
        contexts = [self._tokeniser.ids(render(conversation)) for conversation in conversations]
        config = self._weights.config.get_text_config()
        room = getattr(config, "max_position_embeddings", 1 << 30) - sampling.max_tokens
        order = sorted(range(len(contexts)), key=lambda number: len(contexts[number]))  # little padding
        fitting = [number for number in order if len(contexts[number]) <= room]
        for number in order[len(fitting) :]:
            self._leave_out(len(contexts[number]), room)
            heard(number, None)
        for first in range(0, len(fitting), self.batch):
            numbers = fitting[first : first + self.batch]
            for number, reply in zip(numbers, self._generate([contexts[n] for n in numbers], sampling), strict=True):
                heard(number, reply)

    def _placed(self, message: dict[str, str]) -> dict[str, str]:
        """The message, its content marked as a whole where it is a policy, which holds none of the texts."""
        return message | {"content": self.untrusted(message["content"])} if message["role"] == "system" else message

    def _renderer(self, example: Messages) -> Callable[[Messages], Rendered]:
        """How conversations like this one are rendered. Some templates take contents as they are, others as parts.

        A template that is given the other form, or that knows no such roles, shows the model an empty conversation, and
        every answer in it is safe. So both are tried with words that must come out again.
        """
        probe = [{"role": m["role"], "content": self.untrusted(f"words-of-turn-{i}")} for i, m in enumerate(example)]
        for form in (_plain, _in_parts):
            try:
                text = self._render(form(probe))
            except Exception:  # whatever the template does with the form it does not know
                continue
            if all(message["content"] in text for message in probe):
                return lambda messages, form=form: self._rendered(self._render(form(messages)))  # type: ignore[misc]
        roles = ", ".join(message["role"] for message in example)
        raise InputError(f"model {self.model}: its chat template does not show it {roles}; is the judge's kind right?")

    def _rendered(self, marked: str) -> Rendered:
        try:
            return Rendered.of_marked(marked, _BEGIN, _END)
        except ValueError as error:
            raise InputError(f"model {self.model}: its chat template takes a text apart ({error})") from error

    def _render(self, messages: list[dict[str, Any]]) -> str:
        return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    def _generate(self, contexts: list[list[int]], sampling: Sampling) -> list[str]:
        """The reply to each context; empty where the budget cut it."""
        import torch

        model, tokenizer = self._weights, self._tokenizer
        padded = tokenizer.pad({"input_ids": contexts}, return_tensors="pt").to(model.device)
        ends = model.generation_config.eos_token_id or tokenizer.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        warm = sampling.temperature > 0
        with torch.no_grad(), torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(sampling.seed)
            output = model.generate(
                **padded,
                max_new_tokens=sampling.max_tokens,
                do_sample=warm,
                temperature=sampling.temperature if warm else None,
                top_p=sampling.top_p if warm else None,
                top_k=0 if warm else None,
                eos_token_id=ends,
                pad_token_id=tokenizer.pad_token_id,
            )
        replies = output[:, padded["input_ids"].shape[1] :].tolist()
        return [self._spoken(ids, ends) for ids in replies]

    def _spoken(self, ids: list[int], ends: list[int]) -> str:
        end = next((i for i, token in enumerate(ids) if token in ends), None)
        if end is None:
            return ""
        text: str = self._tokenizer.decode(ids[:end], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def _leave_out(self, tokens: int, room: int) -> None:
        self.left_out += 1
        if self.left_out == 1:
            line = f"judge {self.model}: a text of {tokens} tokens exceeds its {room}; such a reply is left unjudged"
            console.say(line)


def _plain(messages: Messages) -> list[dict[str, Any]]:
    return list(messages)


def _in_parts(messages: Messages) -> list[dict[str, Any]]:
    return [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in messages]
