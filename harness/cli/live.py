"""What a terminal shows: a live table while a run is under way, four lines when it is over.

In: progress snapshots and results. Out: text, on standard error while running, on standard output at the
end. Off a terminal one plain line per step replaces the table.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.outputs import numbers
from harness.outputs.alternatives import separations
from harness.outputs.embeddings import cache_line
from harness.outputs.evaluation import evaluation_data
from harness.outputs.judges import judge_lines
from harness.outputs.report_parts import lost_words

if TYPE_CHECKING:
    from harness.findings import Progress, Spend, Trial
    from harness.result import RunResult

SHOWN_TRIALS = 12  # the best ones and those still running; more would scroll away
QUIET_STEP = 0.05  # share of the planned calls between two lines off a terminal
COLOURS = {
    "complete": "green",
    "running": "cyan",
    "eliminated": "dim",
    "infeasible": "yellow",
    "failed": "red",
}


class LiveView:
    """Shows progress until closed. shown: False shows nothing at all."""

    def __init__(self, *, shown: bool, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._shown = shown
        self._live: Live | None = None
        self._last_share = -1.0
        self._measuring = False
        self._heard: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, progress: Progress) -> None:
        """Redraw from this snapshot."""
        if not self._shown:
            return
        self._print_news(progress)
        if not self._console.is_terminal:
            self._line(progress)
            return
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(picture(progress))

    def _print_news(self, progress: Progress) -> None:
        """What happened since the last time, each on a line that stays; on a terminal above the table."""
        for sentence in [one for one in progress.news if one not in self._heard]:
            self._heard.append(sentence)
            self._console.print(Text(f"Notice: {sentence}", style="yellow"), soft_wrap=True)
            self._last_share = -1.0  # what comes now may begin anew

    def _line(self, progress: Progress) -> None:
        if self._measuring and progress.phase != "judges":
            self._last_share = -1.0  # what was counted until here is not of the trials
        self._measuring = progress.phase == "judges"
        share = progress.done / max(1, progress.planned)
        if share - self._last_share < QUIET_STEP:
            return
        self._last_share = share
        spend = progress.spend
        text = (
            f"{progress.phase}: {_counted(progress)}, "
            f"{numbers.money(spend.usd)} spent, {numbers.counted(spend.calls, 'call')} paid, "
            f"{numbers.seconds(progress.elapsed_s)}"
        )
        self._console.print(text, highlight=False, soft_wrap=True)


def picture(progress: Progress) -> Group:
    """The table of trials with the spend bar below it."""
    if progress.phase == "judges":
        return Group(Text(f"{progress.run}: measuring judges on labelled answers"), _spend_line(progress))
    part = "" if progress.phase == "eval" else f", {progress.phase} split"
    table = Table(box=None, pad_edge=False, header_style="bold", title=f"{progress.run}{part}")
    for name in ("trial", "model", "settings"):
        table.add_column(name, no_wrap=name != "settings", overflow="ellipsis")
    for name in ("quality", "$ / 1k", "p50", "samples"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for trial in _worth_showing(progress.trials):
        table.add_row(
            str(trial.number),
            # As text: a stop sequence such as "[/INST]" would be taken for markup.
            Text(trial.settings.model),
            Text(numbers.parameters_line(trial.settings)),
            numbers.quality_short(trial.quality),
            numbers.price(trial.usd_per_1k_calls),
            numbers.seconds(trial.latency_p50_s),
            str(trial.samples),
            Text(trial.state, style=COLOURS.get(trial.state, "")),
        )
    hidden = len(progress.trials) - SHOWN_TRIALS
    lines = [table, *([Text(f"and {hidden} more trials", style="dim")] if hidden > 0 else [])]
    return Group(*lines, _spend_line(progress))


def show_recommendation(result: RunResult, stream: IO[str]) -> None:
    """Four lines at the end: what to ship, why, what it ties with, and how to export it."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    choice = result.record.recommendation
    if choice is None:
        console.print(f"No recommendation ({result.record.state}).")
        for note in result.record.notes:
            console.print(f"  {note}", markup=False)
        _places(console, result)
        return
    quality = numbers.quality(choice.trial.quality)
    console.print(f"Recommended  {numbers.settings_line(choice.settings)}", markup=False)
    price = numbers.price_phrase(choice.trial.usd_per_1k_calls)
    console.print(f"Why          {choice.reason} On fresh samples: {quality}; {price}.", markup=False)
    if cached := cache_line(result.record):
        console.print(f"False hits   {cached}", markup=False)
    for name, text in task_lines(choice.trial):
        console.print(f"Task         {name}: {text}", markup=False)
    console.print(f"Ties         {choice.certainty or 'there is no other finalist'}", markup=False)
    console.print(f"Export       harness export json {choice.run}", markup=False)
    for sentence in separations(choice):
        console.print(f"To decide    {sentence}", markup=False)
    for name, text in judge_lines(result.record):
        console.print(f"Judged       {name}: {text}", markup=False)
    for caveat in choice.caveats:
        console.print(f"Caveat       {caveat}", markup=False)
    _places(console, result)


def show_evaluation(result: RunResult, stream: IO[str]) -> None:
    """What was measured, how good, dear and fast it is, and what to know about it."""
    it, trial = evaluation_data(result.record), result.record.trials[0]
    console = Console(file=stream, highlight=False, soft_wrap=True)
    first = f", {it.first_token}" if it.first_token else ""
    lines = [
        ("Measured", f"{it.line} ({it.origin}), on {it.samples}"),
        ("Quality", f"{it.metric} {it.quality}"),
        *(("False hits", text) for text in _at_threshold(result)),
        *(("Task", f"{name}: {text}") for name, text in task_lines(trial)),
        ("Price", numbers.price_phrase(trial.usd_per_1k_calls)),
        ("Latency", f"p50 / p95 {it.latency}{first}"),
        ("Answers", it.rates),
        *(("Scorer", text) for text in it.silence),
        *(("Judged", f"{name}: {text}") for name, text in it.judges),
        *(("Note", note) for note in it.notes),
    ]
    if result.record.state != "complete":
        console.print(f"The evaluation did not come to its end ({result.record.state}).")
    for name, text in lines:
        console.print(f"{name:<12} {text}", markup=False)
    _places(console, result)


def _at_threshold(result: RunResult) -> list[str]:
    """The false hits of a semantic cache beside its threshold; nothing of other tasks."""
    at, told = result.record.trials[0].facts.get("threshold"), cache_line(result.record)
    return [told if at is None else f"from a cosine of {at:.4f} up: {told}"] if told else []


def task_lines(trial: Trial) -> list[tuple[str, str]]:
    """Each of several tasks with its own quality; nothing for one task."""
    return [(name, numbers.quality(found)) for name, found in trial.by_task.items()]


def _places(console: Console, result: RunResult) -> None:
    spend = result.spend
    console.print(
        f"Spent        {numbers.money(spend.usd)} for {numbers.counted(spend.calls, 'call')}; "
        f"{numbers.counted(spend.cached, 'answer')} came from the store{_judged(spend)}",
        markup=False,
    )
    if lost := lost_words(spend):
        console.print(
            f"Lost         {lost}: under way when a process of this run died, and perhaps charged; "
            "counted against the budget",
            markup=False,
        )
    console.print(f"Report       {result.folder / 'report.html'}", markup=False)
    if result.tracked is not None:
        console.print(
            f"MLflow       run {result.tracked.run_id} at {result.tracked.tracking_uri}", markup=False
        )


def _judged(spend: Spend) -> str:
    judged = spend.by_purpose.get("judge")
    return f"; {numbers.money(judged.usd)} of it for judges" if judged and judged.calls else ""


def _worth_showing(trials: tuple[Trial, ...]) -> list[Trial]:
    def order(trial: Trial) -> tuple[bool, float]:
        return trial.state != "running", -(trial.quality.value if trial.quality else -1.0)

    return sorted(sorted(trials, key=order)[:SHOWN_TRIALS], key=lambda trial: trial.number)


def _counted(progress: Progress) -> str:
    """What there is so far: verdicts, or answers and what they show."""
    if progress.phase == "judges":
        of = numbers.count(progress.planned)
        return f"{numbers.counted(progress.done, 'verdict')} of {of} on labelled answers"
    trials = numbers.counted(len(progress.trials), "trial")
    if progress.phase == "eval":
        trials = ", ".join(numbers.quality(trial.quality) for trial in progress.trials)
    return f"{numbers.counted(progress.done, 'answer')}, {trials}"


def _spend_line(progress: Progress) -> Table:
    spend = progress.spend
    line = Table.grid(padding=(0, 2))
    line.add_row(
        ProgressBar(total=max(1, progress.planned), completed=progress.done, width=30),
        f"{numbers.count(progress.done)} of at most {numbers.count(progress.planned)} "
        f"{'verdicts' if progress.phase == 'judges' else 'answers'}",
        f"{_money(spend)}, {numbers.counted(spend.cached, 'answer')} cached",
        numbers.seconds(progress.elapsed_s),
    )
    return line


def _money(spend: Spend) -> str:
    cap = f" of {numbers.money(spend.cap_usd)}" if spend.cap_usd is not None else ""
    calls = f" of {numbers.count(spend.cap_calls)}" if spend.cap_calls is not None else ""
    return f"{numbers.money(spend.usd)}{cap}, {numbers.count(spend.calls)}{calls} calls paid"
