"""Which sampler of Optuna proposes: found by name, tried out before anything is spent, opened with a seed.

In: what a spec or a Python call asks for. Out: a `Sampler`, or the reason why it cannot be had; and Optuna's
object for it. A door to Optuna.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import sys
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from harness.errors import UsageError
from harness.fingerprint import canonical, fingerprint
from harness.plan.parameters import suggested
from harness.plan.plan import Sampler, Space
from harness.plan.problems import shown, suggestion
from harness.records import JsonValue

if TYPE_CHECKING:
    import optuna

# Multivariate TPE, the default since Optuna 5, learns too slowly from few evaluations; the pool of defaults
# is its start-up.
_TPE: tuple[str, Mapping[str, Any]] = (
    "TPESampler",
    {"multivariate": False, "n_startup_trials": 0, "constant_liar": True},
)
# By word of a spec: the class and its arguments. A grid is gone through in random order, each setting once.
WORDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "auto": _TPE,
    "tpe": _TPE,
    "random": ("RandomSampler", {}),
    "grid": ("RandomSampler", {}),
    # Optuna's own population of 50 would leave a search of some 60 trials one generation, all of it random.
    "nsga2": ("NSGAIISampler", {"population_size": 12}),
}
FRONT_SAMPLERS = ("nsga2", "NSGAIISampler", "NSGAIIISampler")
FRONT_POLICIES = frozenset({"knee", "weights"})  # they choose among compromises, so there should be some
COUNTING = ("GridSampler", "BruteForceSampler")  # what `grid` does here, without an end by `Study.stop`
PACKAGES = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}  # that Optuna does not bring along
ABSTRACT = ("BaseSampler", "BaseGASampler")
# In the annotation of an argument: it takes an object, which no spec can write down.
OBJECTS = ("Callable", "BaseMutation", "BaseCrossover", "FrozenTrial", "ndarray")
IN_PYTHON = "give such a sampler as an object: harness.tune(spec, sampler=...)"
REHEARSED = 3  # trials: a sampler that cannot serve the space fails at the second or third
DEEPEST = 6  # levels of an object's attributes that are told


Form: TypeAlias = "str | Mapping[str, Mapping[str, JsonValue]]"


def chosen_sampler(form: Form, override: Any, front: bool | None, policy: str) -> Sampler:
    """The sampler of a spec, or what a call gives in its place: another form, or an object.

    form: a word, or a class with or without arguments. override: `None` for none; what `Plan.pins` keeps of
    an object brings it back without the object. front: as the spec says, `None`: as sampler and policy
    need it. Raises UsageError for a name, an argument or a package that is not there; its message goes on
    after the name of the key.
    """
    if override is None or isinstance(override, str):
        chosen = _named(override or form)
    elif isinstance(override, Mapping):
        told = cast("Mapping[str, Any]", override)
        chosen = Sampler(**told["given"]) if "given" in told else _named(told)
    else:
        chosen = _given(override)
    if front is None:
        front = chosen.name.rpartition(".")[2] in FRONT_SAMPLERS or policy in FRONT_POLICIES
    return replace(chosen, front=front)


def open_sampler(sampler: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's object, new for each search. An object that was given is copied as it is, with its own seed.

    Raises UsageError when the object is not there, or Optuna refuses the arguments.
    """
    if sampler.given is not None:
        # The copy draws, so that a resumed search in the same process begins where this one began.
        return copy.deepcopy(sampler.given)
    if "." in sampler.name:
        raise UsageError(
            f"the run was begun with a sampler that was given in Python, {sampler.name}; give the same one "
            "again: harness.tune(resume=RUN, sampler=...)"
        )
    name, fixed = WORDS.get(sampler.name, (sampler.name, {}))
    return _made(name, {**fixed, **sampler.arguments}, seed)


def rehearse(sampler: Sampler, space: Space) -> None:
    """Let a sampler of Optuna's or of somebody's own propose three settings to nobody.

    Raises UsageError when it cannot: what does not fit a space is found by the first proposals.
    """
    if sampler.name in WORDS or ("." in sampler.name and sampler.given is None):
        return
    study = open_study(sampler, 0)
    try:
        for _ in range(REHEARSED):
            trial = study.ask()
            suggested(trial, space)
            study.tell(trial, [0.5] * len(study.directions))
    except Exception as error:
        # Whatever Optuna or somebody's own class raises for arguments that do not fit.
        raise UsageError(_refused(sampler.name, error)) from error


def open_study(sampler: Sampler, seed: int) -> optuna.Study:
    """An empty study in memory: quality is raised, and on a front the price lowered."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        directions=directions(front=sampler.front), sampler=open_sampler(sampler, seed)
    )


def directions(*, front: bool) -> list[Literal["maximize", "minimize"]]:
    """Where the objectives should go: quality up, and on a front the price of a thousand calls down."""
    return ["maximize", "minimize"] if front else ["maximize"]


def is_repeatable(sampler: Sampler) -> bool:
    """Whether the sampler proposes the same again in another process: an object without a seed does not."""
    return sampler.given is None or '"_rng":null' not in canonical(sampler.arguments)


@contextmanager
def one_torch_thread() -> Generator[None]:
    """Lets torch, where it is loaded, compute in one thread: small Gaussian processes are slower in more."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def experimental_allowed() -> Generator[None]:
    """Silence about one thing: that the interface of what is used here may change with Optuna's version."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _named(form: Form) -> Sampler:
    name, arguments = (form, {}) if isinstance(form, str) else next(iter(form.items()))
    if name not in WORDS:
        _check_class(name, arguments)
    elif arguments:
        raise UsageError(
            f"is {name!r}, which takes no arguments; name a class, as in {{{WORDS[name][0]}: {{...}}}}"
        )
    return Sampler(name=name, arguments=arguments)


def _given(given: object) -> Sampler:
    """The sampler that is this object, told by its class and attributes."""
    import optuna

    if not isinstance(given, optuna.samplers.BaseSampler):
        raise UsageError(
            f"is {shown(given)}; expected a name, as in a spec, or an object of a sampler's class"
        )
    kind = type(given)
    _refuse_counting(kind.__name__)
    _refuse_missing(kind.__name__)
    told = {name: _told(value, 1) for name, value in vars(given).items()}
    return Sampler(name=f"{kind.__module__}.{kind.__qualname__}", arguments=told, given=given)


def _check_class(name: str, arguments: Mapping[str, JsonValue]) -> None:
    classes = _classes()
    if name not in classes:
        raise UsageError(f"is {name!r}, which is no sampler; {suggestion(name, [*WORDS, *classes])}")
    _refuse_counting(name)
    _refuse_missing(name)
    taken = inspect.signature(classes[name]).parameters
    for argument, value in arguments.items():
        if argument not in taken:
            raise UsageError(
                f"gives {name} {argument!r}, which it does not take; {suggestion(argument, taken)}"
            )
        if any(kind in str(taken[argument].annotation) for kind in OBJECTS) and value is not None:
            raise UsageError(f"gives {name} {argument}, which has to be an object of Python; {IN_PYTHON}")
        if argument.endswith("_sampler") and value is not None:
            inner = _inner(value, f"{name}.{argument}")
            _check_class(*inner)


def _inner(value: object, where: str) -> tuple[str, Mapping[str, JsonValue]]:
    """The class and the arguments of a sampler inside another: its name, or the name with arguments."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and len(cast("Mapping[str, object]", value)) == 1:
        ((name, arguments),) = cast("Mapping[str, Any]", value).items()
        if isinstance(arguments, Mapping):
            return name, cast("Mapping[str, JsonValue]", arguments)
    raise UsageError(
        f"gives {where} {shown(value)}; expected a class of optuna.samplers, as in {{TPESampler: {{}}}}"
    )


def _refuse_counting(name: str) -> None:
    if name in COUNTING:
        raise UsageError(f"is {name}, which stops a study itself; write grid, which tries every setting once")


def _refuse_missing(name: str) -> None:
    package = PACKAGES.get(name)
    if package is not None and find_spec(package) is None:
        raise UsageError(
            f"is {name}, which needs the package {package}, and that is not installed; run "
            f"`pip install {package}`, or choose another sampler"
        )


def _classes() -> dict[str, type[optuna.samplers.BaseSampler]]:
    """Every sampler that Optuna offers, by name."""
    import optuna

    found = {name: getattr(optuna.samplers, name) for name in optuna.samplers.__all__}
    return {
        name: kind
        for name, kind in found.items()
        if inspect.isclass(kind) and issubclass(kind, optuna.samplers.BaseSampler) and name not in ABSTRACT
    }


def _made(name: str, arguments: Mapping[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    kind = _classes()[name]
    taken = inspect.signature(kind).parameters
    given = {
        argument: _made(*_inner(value, argument), seed) if argument.endswith("_sampler") and value else value
        for argument, value in arguments.items()
    }
    if "seed" in taken:
        given.setdefault("seed", seed)
    if "warn_independent_sampling" in taken and taken["warn_independent_sampling"].default is True:
        # Models and prompts are categories, which such samplers leave to another: nothing to say each trial.
        given.setdefault("warn_independent_sampling", False)
    if name == "GPSampler":
        # Optuna would load it in the middle of the search, where `one_torch_thread` is over already.
        importlib.import_module(PACKAGES[name])
    try:
        with experimental_allowed():
            return kind(**given)
    except Exception as error:
        raise UsageError(_refused(name, error)) from error


def _refused(name: str, error: Exception) -> str:
    cause = (str(error).splitlines() or [""])[0].rstrip(".")
    return (
        f"is {name}, which Optuna refuses: {type(error).__name__}: {cause}; change it, or choose another "
        "sampler"
    )


def _told(value: object, level: int) -> JsonValue:
    """What can be told of a sampler's attribute, the same in every process: the state of its chance too."""
    import numpy as np

    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        return fingerprint([state["state"]["key"].tolist(), state["state"]["pos"]])
    if level == DEEPEST:
        return type(value).__qualname__
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return {str(name): _told(inner, level + 1) for name, inner in pairs.items()}
    if isinstance(value, list | tuple):
        return [_told(inner, level + 1) for inner in cast("list[object]", value)]
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    attributes = {name: _told(inner, level + 1) for name, inner in getattr(value, "__dict__", {}).items()}
    return {"class": type(value).__qualname__, **attributes}
