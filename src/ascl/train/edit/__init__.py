"""LLM-VA (arXiv 2601.19487): "answered" is made to follow "benign" by a closed-form change of weights, no gradient.

A linear SVM on the output of each attention and MLP finds the direction in which benign and harmful prompts differ, and
the one in which prompts that the model answers and refuses differ. The output projections that matter most are changed
so that the second reads what the first reads. That is done again and again, each time with new replies, and the state
with the best F1 on held-out prompts is kept.

settings.py    what an arm of the method sets
labels.py      the prompts, the model's replies to them, and which of them are answers
sublayers.py   the output projections of a model
svm.py         the direction that separates two classes
alignment.py   which projections are changed, and how
edit.py        the iterations, resumable, and the model in the end

Deviations from the paper and its code: the prompts are the run's, drawn from all of a side (there 64 of each of four
sets), and not chosen as hard for each model; a fifth of them is for validation (there a ninth). The judge is the run's;
a partial refusal is no answer. Prompts on whose reply the judge says nothing are left out of the directions, and in F1
they count as not answered. The SVM is solved exactly (there LinearSVC, stopped after 2000 passes). L, the number of
projections, is chosen by validation F1 among shares of all of them (there one number a model, without the rule it was
found by). A projection's bias is changed with its weight. The iterations end where every reply is an answer or none is:
there is no direction then.
"""
