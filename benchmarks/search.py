"""Which rules lexical search returns for the prompts of the starter set, by how long a query one word may decide.

    python benchmarks/search.py

A rule is a hit where it shares two content words with the query, or one with a query of at most n words; n is
`rules/search.py`'s SHORT_QUERY. The table has a row for each n. In percent: prompts that get any rule, by kind (harmful
ones should, plain and reasoning ones should not); harmful prompts with a rule of their own category among the best
three; the same for the queries of the harmful demonstrations. Takes a second.
"""

from rich.console import Console
from rich.table import Table

from ascl.data.load import load_prompts
from ascl.data.prompt import Kind
from ascl.recipes.demonstrations import load_demonstrations
from ascl.rules import search
from ascl.rules.book import RuleBook


def main() -> None:
    """Measure and print."""
    prompts = load_prompts(["starter"])
    queries = {d.id: d.query for d in load_demonstrations() if d.query is not None}
    table = Table("n", *[f"{kind.value}: any" for kind in Kind], "harmful: right", "query, harmful: right")
    chosen = search.SHORT_QUERY
    for short in (1, 2, 3, 4, 5, 6, 1000):
        search.SHORT_QUERY = short
        book = RuleBook.load()
        asked = {kind: [(p.text, p.category) for p in prompts if p.kind is kind] for kind in Kind}
        shown = [(queries[p.id], p.category) for p in prompts if p.id in queries and p.kind is Kind.HARMFUL]
        found = [percent([bool(book.search(text, 3)) for text, _ in asked[kind]]) for kind in Kind]
        right = [
            percent([category in {rule.category for rule, _ in book.search(text, 3)} for text, category in pairs])
            for pairs in (asked[Kind.HARMFUL], shown)
        ]
        table.add_row(f"{short}{' (chosen)' if short == chosen else ''}", *found, *right)
    Console().print(table)


def percent(flags: list[bool]) -> str:
    """The share that is true."""
    return f"{100 * sum(flags) / len(flags):.0f}"


if __name__ == "__main__":
    main()
