"""The control tokens of the model families: by name, and by the shapes that families give them.

Two lists, for two readers. `MARKERS` are those that our own dialects write, as tokens or as text, and a few that every
tokenizer may have; they are broken wherever a text goes. `TOKENS` and `SHAPES` are for a server, whose tokenizer is not
known: what is, or looks like, a control token of any family. Sources: the tokenizers' public configurations.
"""

MARKERS: tuple[str, ...] = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>",
    "✿FUNCTION✿", "✿ARGS✿", "✿RESULT✿", "✿RETURN✿",
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>", "<unk>", "<pad>",
)  # fmt: skip

# Tokens of one word, in the shape of ordinary markup, and those whose shape is their family's alone.
_WORDS = (
    "answer", "arguments", "bos", "cls", "commit", "dna", "documents", "eoa", "eod", "eoh", "eom", "eop", "eos",
    "eosys", "eot", "filename", "function", "functions", "image", "ipython", "mask", "observation", "output", "pad",
    "parameter", "protein", "reponame", "response", "result", "results", "rna", "role", "sep", "sop", "sot", "tool",
    "toolcall", "tool_calls", "unk", "video", "audio", "invoke", "ans", "box", "cap", "eoc", "eor", "escape",
    "functioncall", "grounding", "img", "od", "quad", "ref", "sys", "usr", "AI", "用户", "CLS", "EOD", "MASK", "PAD",
    "SEP", "SMILES", "THINK", "TOOLCALL", "TOOLS", "UNK", "BOS", "EOS", "EOT", "EMAIL", "EXECUTION", "EXPLANATION",
    "KEY", "MID", "NAME", "PASSWORD", "PLAN", "PRE", "REASONING", "REFLECTION", "SCRATCHPAD", "SOLUTION", "SUF",
    "THINKING", "point", "pr", "predict", "slice", "thought", "unit",
)  # fmt: skip
TOKENS: tuple[str, ...] = (
    *(f"<{word}>" for word in _WORDS), *(f"</{word}>" for word in _WORDS),
    "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[THINK]", "[/THINK]", "[ARGS]", "[CALL_ID]", "[MODEL_SETTINGS]",
    "[/MODEL_SETTINGS]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]", "[PREFIX]",
    "[MIDDLE]", "[SUFFIX]", "[BOS]", "[EOS]", "[EOT]", "[NL]", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[gMASK]",
    "[sMASK]", "[@BOS@]", "[multimodal]", "<global-img>", "]~b]", "]~!b[", "[e~[", "]!p~[", "]!d~[",
    "<function=", "<parameter=", "<invoke name=", "<parameter name=", "<tool_call ",
    "|ENDOFTEXT|", "|SPEAKER|", "|NEWLINE|", "PI:URL", "PI:EMAIL", "PI:USER", "<2mass>", "<function-name>",
    "<args-json-object>", "[start_header_id]", "[end_header_id]",
)  # fmt: skip

_NAME = r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+"  # words joined by underscores

# The first character of a shape, and what follows it.
SHAPES: tuple[tuple[str, str], ...] = (
    ("<", r"/?[|｜][^\s<>|｜][^\s<>]{0,80}>"),  # <|im_end|>, <|turn>, </｜DSML｜invoke>
    ("<", r"[^\s<>|｜]{1,80}[|｜]>"),  # <turn|>
    ("<", r"\[[^\s\[\]]{1,80}\]>"),  # <[begin_of_sentence]>
    ("<", r"[A-Z]{2,10}\|[^\s<>|]{1,40}>"),  # <EOD|LLM-jp>
    ("<", rf"/?{_NAME}>"),  # <end_of_turn>, <SPECIAL_11>, <extra_id_1>, </TOOL_RESPONSE>
    ("<", r"/?(?!SYS>>)[A-Z][A-Z0-9-]{1,40}(?:\|[^\s<>|]{1,40})?>"),  # <EOT>, <PRE>, <CLS|LLM-jp>
    ("<", r"/?_[a-z_]{2,40}>"),  # <_user>
    ("<", r"fim-[a-z]{2,10}>"),  # <fim-prefix>
    ("<", r"/?[A-Za-z]{3,40}\d+>"),  # <unused0>
    ("<", r"/?[a-z][a-z0-9_-]*:(?!:)[A-Za-z0-9_:-]{1,80}>"),  # <seed:bos>, <minimax:tool_call>, <mask:1>
    ("[", r"/?\|[^\s\[\]|]{1,80}\|\]"),  # [|endofturn|]
    ("[", r"/?[A-Z][A-Z0-9_]{2,40}\](?!\()"),  # [TOOL_RESULTS]; no link ([README](..))
    ("[", r"(?:PAD|UNUSED_TOKEN_?|unused_?|extra_id_|SPECIAL_|control_)\d+\]"),  # [PAD151936]
    ("[", rf"(?<![\w\])]\[){_NAME}\](?!\()"),  # [arg_key]; no index (a[the_key])
    ("[", r"(?:BEGIN|END)(?: [A-Z]{2,20}){1,5}\]"),  # [BEGIN FINAL RESPONSE]
    ("[", r"Round \d{1,4}\]"),  # [Round 0]
    ("[", r"[a-z]~\["),  # [e~[
    ("]", r"[~!]{1,2}[a-z]~?[\[\]]"),  # ]~b]
    ("]", r"<\][A-Za-z ]{1,40}\[>\["),  # ]<]start of image[>[
    (">", r">[A-Z]{4,40}<<"),  # >>QUESTION<<
    ("|", r"\|\|[A-Z_]{4,40}\|\|\|"),  # |||IP_ADDRESS|||
    ("｜", r"[A-Z]{2,40}｜"),  # ｜DSML｜
    ("✿", r"[A-Z]{2,12}✿"),
    # Words that templates look for anywhere; `</think>` is a tag, and broken as one.
    ("/", "(?:no_?think|system_override|think(?!>)|(?<!</)(?<!<\u200b/)think)"),
)
