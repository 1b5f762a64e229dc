"""What a text is cut to before it is embedded."""

from __future__ import annotations

from harness.catalogue.models import Model, Prices
from harness.records import Settings
from harness.trials.pieces import pieces_of

MODEL = Model(
    provider="mine", name="one", model_class="EMBEDDING", prices=Prices(input=0.1, output=0.0), settings={}
)

OPEN, BIKES = "Opening hours are on the door.", "Bicycles stand behind the hall."


def _cut(text: str) -> list[str]:
    settings = Settings(model="mine/one", prompt="plain", local={"chunk_tokens": 16})
    return list(pieces_of(text, settings, {"mine/one": MODEL}))


def test_a_blank_stretch_is_no_piece_of_a_text():
    """A page with a long gap in it is embedded: what says nothing has no vector, and is left out."""
    pieces = _cut(OPEN + "\n" * 3000 + BIKES)
    assert all(piece.strip() for piece in pieces)
    assert "".join(pieces).split() == f"{OPEN} {BIKES}".split()


def test_a_text_that_is_blank_as_a_whole_stays_to_be_refused():
    """It is not silently left out: whoever asks for its vector is told."""
    assert _cut(" " * 3000) == [" " * 3000]
