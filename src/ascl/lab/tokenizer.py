"""The lab's own tokenizer: the template's fixed texts are one token each, words and digits are one token each."""

from typing import Any

from ascl.chat.dialects.smollm2 import SMOLLM2
from ascl.chat.messages import Message
from ascl.chat.render import Renderer, apply_template
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.lab.world import DOUBTFUL, GRAVE, GUIDELINES, ORDINARY, REFUSAL, SYLLABLES, UNSURE

START, END, PAD, UNKNOWN = "<|im_start|>", "<|im_end|>", "<|pad|>", "<|unknown|>"
CALL = '<tool_call>{"name": "' + TOOL_NAME + '", "arguments": {"query": "'
PIECES = [
    CALL,
    '"}}</tool_call>',
    SMOLLM2.opens,
    SMOLLM2.closes,
    "tool\n<tool_response>\n",
    "\n</tool_response>",
    "user\n",
    "assistant\n",
    *(REFUSAL, UNSURE, ORDINARY, GUIDELINES),
    *("how do i ", " the ", " in a game", "?", "what is ", "greet", "hello ", "go ahead: ", "Never "),
    *("the rule is about ", " asked is ", "same, so i refuse.", "i answer.", "this is a game, so i answer."),
    *("1. (", "%) "),
]


def lab_renderer(tool: ConsultTool) -> Renderer:
    """The renderer of the lab's language, in the dialect that SmolLM2 speaks."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    texts = {_system_text(tool), *PIECES, *GRAVE, *DOUBTFUL, *SYLLABLES}
    pieces = sorted(texts, key=lambda text: (-len(text), text))  # the longest match wins; the same ids in every process
    characters = [chr(code) for code in range(32, 127)] + ["\n", "\ufffd"]
    vocabulary = {token: i for i, token in enumerate([UNKNOWN, *dict.fromkeys([*pieces, *characters])])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    pattern = "|".join(_quoted(piece) for piece in pieces) + r"|[\s\S]"
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in (START, END, PAD)])
    fast: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = SMOLLM2.template
    return Renderer(fast, SMOLLM2)


def _quoted(piece: str) -> str:
    """The piece as a pattern of Oniguruma, tokenizers' engine, which wants fewer escapes than `re.escape` gives."""
    return "".join(f"\\{c}" if c in r".^$*+?{}[]\|()" else c for c in piece)


def _system_text(tool: ConsultTool) -> str:
    """What stands in every prompt before the user speaks."""
    messages = with_rules("ascl", [Message(role="user", content="?")], tool)
    text, _ = apply_template(SMOLLM2.template, [message.for_template() for message in messages], [tool.schema])
    return text.removeprefix(START).partition(END)[0]
