"""ASCL's behaviour-cloning set, the SFT cold start of "Mitigating the Safety-Utility Trade-off in LLM Alignment via
Adaptive Safe Context Learning" (arXiv 2602.13562).

The safety rules stay out of the weights: the model learns when to look rules up with a tool, and how to reason about
what came back. A teacher (the paper: Qwen3-235B-A22B) answers with the tool at hand; a second model purifies what it
wrote (`purify.py`); harmful prompts are balanced over the rule categories, and the parts are mixed

    harmful+consult : sensitive+consult : sensitive+direct = 2 : 3 : 2

which in the paper are 980 + 1469 + 980 = 3429 prompts, and 2 * 980 + 2 * 1469 + 980 = 5878 samples after splitting.

Reconstruction: the prompts and the checks are not public. Our choices: the checks and their reasons (`REASONS`); what
"related" means for a query (`query_related`); direct trajectories are not purified, since every edit that is asked for
concerns a look-up; a prompt keeps the rule category it names itself, and the others get theirs by rule search unless
a model is asked; plain and reasoning prompts give direct rows beside the mixture (a small model forgets otherwise how
to answer; the paper's set has none).
"""

import hashlib
import re
from collections import Counter
from typing import Literal

import bm25s
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from ascl.chat.messages import StopReason, Trajectory
from ascl.consult.sample import Job
from ascl.consult.variants import with_rules
from ascl.judges.offline import claims_consultation
from ascl.judges.record import Judge, judge_trajectory
from ascl.judges.refusal import any_of, normalise, sentences, unquoted
from ascl.judges.verdict import Refusal, Verdict
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import question
from ascl.recipes.balance import RATIO, label_prompts, mix, parts_of
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.demonstrations import demonstrate, demonstrated, load_demonstrations
from ascl.recipes.purify import purify
from ascl.recipes.rows import Row, native_row, split_row
from ascl.rules.book import RuleBook
