"""Planted keys, and a search for them in everything that a run leaves behind.

Keys stand where keys may stand (the environment, a file `.env`, addresses), they go out in headers, and the
provider sends them back in its errors. One run succeeds and one fails; then every byte of every file that
they left, in whatever form, and all that was printed, is searched for each of them.
"""

from __future__ import annotations

import base64
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.run import tune
from harness.testing.faults import Fault, Moment
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers

pytestmark = [
    # Loading litellm takes some four seconds, and MLflow's first database some ten.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
# Of no shape that a pattern knows: only who knows the key can mask it.
CANARIES = {
    "OPENAI_API_KEY": "canary+one/3fc2 of openai",
    "ANTHROPIC_API_KEY": "canary-two-77ab-of-anthropic",
    "GEMINI_API_KEY": "canary.three.91de.of.google",
}
IN_URL = "canary-four-b00c-in-a-url"
ALL = (*CANARIES.values(), IN_URL)
SEARCH = """search:
  models: [openai/SMALL, anthropic/SMALL, google/SMALL]
  temperature: {low: 0.0, high: 1.0}
  max_output_tokens: 8
  n_trials: 6
providers:
  openai: {api_base: "URL/v1"}
  anthropic: {api_base: "URL"}
  google: {api_base: "URL/v1beta"}
aim:"""


class Careless:
    """A simulator whose provider repeats the key in its errors. refuses: every request; busy: one in four."""

    def __init__(self) -> None:
        self.refuses, self.busy = False, True
        self.http = SimulatorServer(FixedAnswers("positive"), faults=self._fault)

    def _fault(self, moment: Moment) -> Fault | None:
        if self.refuses:
            return Fault("401")
        late = self.busy and moment.attempt == 1 and moment.number % 4 == 0
        return Fault("429", retry_after_s=0.0) if late else None


@pytest.fixture
def provider() -> Iterator[Careless]:
    """One careless provider for three formats."""
    made = Careless()
    with made.http:
        yield made


@pytest.fixture
def planted(desk: Any, provider: Careless, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The desk with a spec for three providers, two keys in the environment and one in `.env`."""
    spec = desk.spec().read_text()
    head, _, rest = spec.partition("search:")
    desk.write("words.yaml", head + SEARCH.replace("URL", provider.http.url) + rest.partition("aim:")[2])
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, CANARIES[name])
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    desk.write(".env", f"GEMINI_API_KEY='{CANARIES['GEMINI_API_KEY']}'\n")
    return desk


def found_in(folder: Path, texts: tuple[str, ...]) -> list[str]:
    """Where a canary stands: in a file, or in what a program printed."""
    hits = [f"printed: {text[:200]}" for text in texts if any(key in text for key in ALL)]
    searched = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".env":
            raw = path.read_bytes()
            searched += len(raw)
            hits += [f"{path.relative_to(folder)}: {key}" for key in ALL if any(f in raw for f in forms(key))]
    assert searched > 100_000, "a run leaves more than this behind"
    return hits


def forms(key: str) -> tuple[bytes, ...]:
    """A key as it is, in base64, and in UTF-16."""
    return key.encode(), base64.b64encode(key.encode()).rstrip(b"=")[:-1], key.encode("utf-16-le")


def test_the_search_finds_a_canary(tmp_path: Path) -> None:
    """It would see one in any of the forms."""
    (tmp_path / "filler").write_bytes(b"x" * 200_000)
    for number, form in enumerate(forms(IN_URL)):
        (tmp_path / str(number)).write_bytes(zlib.compress(b"x") + form + b"tail")
    assert len(found_in(tmp_path, (f"oh {IN_URL}", "fine"))) == 4


def test_a_run_that_succeeds_leaves_no_key_behind(planted: Any, provider: Careless) -> None:
    """Store, reports, MLflow's database and files, exports, logs, and every line that is printed."""
    outcomes = [planted.harness("tune", "words.yaml")]
    assert outcomes[0].code in (0, 4), outcomes[0].err
    assert provider.http.stats().requests > 20
    assert provider.http.stats().answered[429] > 0
    commands = (
        ("doctor", "words.yaml"),
        ("doctor", "--json"),
        ("list",),
        ("plan", "words.yaml"),
        ("report", "latest", "--mlflow"),
        ("cache", "stats"),
        ("cache", "export", "-o", "answers.jsonl"),
    )
    outcomes += [planted.harness(*command) for command in commands]
    assert [outcome.err for outcome in outcomes if outcome.code not in (0, 4)] == []
    assert (planted.folder / ".harness" / "mlflow.db").is_file()
    assert found_in(planted.folder, tuple(f"{o.out}{o.err}" for o in outcomes)) == []


def test_a_run_that_fails_leaves_no_key_behind(
    planted: Any, provider: Careless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider repeats each key in its refusal, and MLflow's address holds a password."""
    assert planted.harness("tune", "words.yaml").code in (0, 4)
    provider.refuses = True
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{IN_URL}@127.0.0.1:9")
    outcomes = [planted.harness("tune", "words.yaml", "--no-cache"), planted.harness("doctor")]
    assert outcomes[0].code == 3
    assert "401" in outcomes[0].err or "credentials" in outcomes[0].err
    monkeypatch.setenv("HARNESS_STORE", f"postgresql://me:{IN_URL}@127.0.0.1:9/harness")
    outcomes.append(planted.harness("list"))
    assert outcomes[-1].code != 0
    assert found_in(planted.folder, tuple(f"{o.out}{o.err}" for o in outcomes)) == []


@pytest.mark.parametrize("refuses", [False, True])
def test_a_doctor_that_asks_shows_and_leaves_no_key(planted: Any, provider: Careless, refuses: bool) -> None:
    """Each model is sent its key, and a provider that refuses it sends it back; as text and as JSON."""
    provider.refuses, provider.busy = refuses, False
    outcomes = [planted.cli("doctor", "words.yaml", "--live", *more) for more in ((), ("--json",))]
    assert provider.http.stats().requests >= 6
    assert [outcome.code for outcome in outcomes] == ([2, 2] if refuses else [0, 0])
    assert all(("401" in outcome.out or "credentials" in outcome.out) == refuses for outcome in outcomes)
    (planted.folder / "filler").write_bytes(b"x" * 200_000)  # a doctor leaves nothing else
    assert found_in(planted.folder, tuple(f"{o.out}{o.err}" for o in outcomes)) == []


@pytest.mark.parametrize("model", ["openai/SMALL", "anthropic/SMALL", "google/SMALL"])
def test_no_exception_carries_a_key(planted: Any, provider: Careless, model: str) -> None:
    """Neither the one that is raised nor those it was raised from, as a notebook shows them."""
    provider.refuses = True
    spec = (planted.folder / "words.yaml").read_text()
    spec = spec.replace("[openai/SMALL, anthropic/SMALL, google/SMALL]", f"[{model}]")
    planted.write("one.yaml", spec)
    with pytest.raises(HarnessError) as caught:
        tune(planted.folder / "one.yaml", mlflow=False)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert [key for key in ALL if key in shown] == []
