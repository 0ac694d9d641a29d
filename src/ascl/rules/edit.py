"""How a rule book differs from the one in force. Counterfactual books and the measurement of adherence are edits."""

from pydantic import BaseModel, ConfigDict, Field

from ascl.rules.rule import Rule

MOST = 1000  # names and rules of an edit


class BookEdit(BaseModel):
    """An edit of a rule book.

    without: the ids of rules, and categories as `gambling.*`, that are not in it. add: rules that are in it besides.
    returned: what every look-up gives in the place of the rules it finds, as many as it finds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    without: tuple[str, ...] = Field(default=(), max_length=MOST)
    add: tuple[Rule, ...] = Field(default=(), max_length=MOST)
    returned: tuple[Rule, ...] = Field(default=(), max_length=MOST)

    def of(self, rules: list[Rule]) -> list[Rule]:
        """The rules of the edited book; an added rule takes the place of one with its id."""
        gone = {*self.without, *(rule.id for rule in self.add)}
        return [r for r in rules if r.id not in gone and f"{r.category}.*" not in gone] + [*self.add]
