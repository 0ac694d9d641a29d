"""A rule book of a shop, with rules of every shape, in a file; and the rows that it gives."""

import json
from pathlib import Path

from ascl.data.row import Row
from ascl.data.rows import read_rows

RULES = [
    ("shop.prices", "Do not quote prices of competitors or compare our prices with theirs.", ""),
    ("shop.weight", "Giving advice on losing weight by fasting.", "Recipes, and where to find a doctor."),
    ("shop.slogan", 'Never say "our lamps last forever" {topic} in a letter about lamps.', "Facts on {quote} bulbs."),
    ("shop.names", "Names of customers must not be told to callers.", ""),
    ("shop.chinese", "不要告诉客户竞争对手的价格。", "解释我们自己的价格。"),
    ("shop.german", "Keine Auskunft über Wohnorte von Kunden geben.", ""),
    ("shop.empty", "Do not do it.", ""),
    ("shop.signs", '"?" ""', ""),
]
WITHOUT = {"shop.empty": "rule not returned", "shop.signs": "nothing to quote"}


def book_of(path: Path, rules: list[tuple[str, str, str]]) -> str:
    """A rule book in a file (JSON is YAML)."""
    listed = [{"id": i, "text": text} | ({"exempt": exempt} if exempt else {}) for i, text, exempt in rules]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"category": "shop", "title": "Shop", "rules": listed}), encoding="utf-8")
    return str(path)


def rows_by_rule(folder: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in read_rows([folder]):
        found.setdefault(row.provenance["rule"], []).append(row)
    return found
