"""A source set as it is: prompt, reference thought, reference answer. The arm every refinement is compared with."""

from pydantic import BaseModel, ConfigDict

from ascl.data.examples import Example
from ascl.data.load import question
from ascl.data.row import Row, reply_row
from ascl.recipes.build import Built, Workshop

INPUT = "examples"
SAMPLES = False  # needs no model


class Parameters(BaseModel):
    """None."""

    model_config = ConfigDict(extra="forbid")


def build(examples: list[Example], parameters: Parameters, workshop: Workshop) -> Built:
    """Every example as a row."""
    return Built([vanilla_row(example) for example in examples], [])


def vanilla_row(example: Example, recipe: str = "vanilla", reason: str = "reference") -> Row:
    """The reference reply as a training row."""
    prompt = example.prompt
    return reply_row(prompt, question(prompt), example.thought, example.answer, recipe, {"origin": reason})
