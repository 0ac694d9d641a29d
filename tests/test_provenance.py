"""Whether a folder holds the same run: one function says what changed, with what it was and what it is."""

from ascl.provenance import changes, machine, versions


def test_what_is_not_known_now_is_no_change_and_what_was_not_noted_is() -> None:
    assert changes({"weights": "a"}, {}) == []
    assert changes({"weights": "a"}, {"weights": "a"}) == []
    assert changes({"weights": "a"}, {"weights": "b"}) == ["weights (a, now b)"]
    assert changes({}, {"weights": "b"}) == ["weights (not noted, now b)"]
    assert changes({"lora": None}, {"lora": {"r": 4}}) == ["lora (None, now {'r': 4})"]


def test_facts_inside_facts_are_named_by_their_path() -> None:
    before = {"rl": {"group_size": 8, "reward": {"fault": 0.4}}, "seed": 1}
    now = {"rl": {"group_size": 4, "reward": {"fault": 0.4, "format": 1.0}}, "seed": 1}
    assert changes(before, now) == ["rl.group_size (8, now 4)", "rl.reward.format (not noted, now 1.0)"]


def test_a_long_value_is_cut() -> None:
    (line,) = changes({"a": "x" * 61}, {"a": "y" * 60})
    assert line == f"a ({'x' * 60} .., now {'y' * 60})"


def test_what_figures_depend_on_is_named() -> None:
    assert " cores, " in machine()
    assert versions()["ascl"] != "not installed" and "torch" in versions()
