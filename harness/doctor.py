"""Is everything here that a run needs? Asked before it begins; nothing is made, nothing sent unless asked.

In: a spec or none, and the environment. Out: versions, store, MLflow's target, and each provider with its
lane, address, key and weights, and what is missing. A key is looked at for being there, and never shown.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from harness.calls.lanes import hidden_sign, open_provider
from harness.calls.provider import Provider
from harness.calls.proxies import proxy_of
from harness.calls.trial_call import TrialCall, trial_calls
from harness.calls.weights import installed, need_server
from harness.catalogue.models import Catalogue, Model, ProviderFacts, load_catalogue
from harness.catalogue.weights import models_folder
from harness.environment import versions
from harness.errors import HarnessError, ProviderError
from harness.outputs.tracking import target_of
from harness.plan.lookup import FREE, make_endpoints
from harness.plan.planner import make_plan
from harness.records import Endpoint, ModelClass
from harness.store.health import StoreHealth, store_health

PACKAGES = (
    *("llm-harness", "aiohttp", "datasets", "litellm", "mlflow", "numpy", "optuna", "pandas", "plotly"),
    *("psycopg", "pydantic", "scikit-learn", "scipy", "sqlalchemy", "xllamacpp"),
)
OLD_DAYS = 90  # vendors change their lists every few months: older prices deserve a look

Lane = Literal["direct", "litellm", "this machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHealth:
    """One model. prices: "free", "as the spec states", "unknown", or the date of the list they are from.

    price_age_days: of that list; `None` without one. weights: the file they are in, `None` when it is not
    here; weights_name: what `harness models pull` calls them, `None` for a model without weights of ours.
    ends: the day for which its provider announced its end.
    """

    name: str
    model_class: ModelClass
    prices: str
    price_age_days: int | None
    weights_name: str | None
    weights: str | None
    ends: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """One provider. why: the reason for its lane. address: `None` where litellm knows it.

    key_env: variable that holds its key, `None` when it needs none. key_set: whether it holds anything.
    key_fault: why that cannot be sent. address_env: variable that has to hold its address and does not.
    unseen: where credentials were looked for, and are not: a machine may still have a role of its own.
    proxied: whether calls go through the environment's proxy. proxy_fault: why they cannot.
    """

    name: str
    lane: Lane
    why: str
    address: str | None
    key_env: str | None
    key_set: bool
    stream: bool
    models: tuple[ModelHealth, ...]
    address_env: str | None = None
    unseen: tuple[str, ...] = ()
    key_fault: str = ""
    proxied: bool = False
    proxy_fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Everything that was looked at. missing: what stands in the way, each with what to do about it.

    mlflow: where runs are mirrored; mlflow_named: whether the environment says so. spec: its file; `None`:
    the providers are those of the catalogue, and none is needed. notes: what is no obstacle. live: what one
    call to each model showed; empty when nothing was sent. unasked: who was then not asked, and why.
    """

    python: str
    versions: Mapping[str, str]
    store: StoreHealth
    mlflow: str
    mlflow_named: bool
    spec: str | None
    providers: tuple[ProviderHealth, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    live: tuple[TrialCall, ...] = ()
    unasked: tuple[str, ...] = ()


def examine(
    spec: Path | None,
    *,
    store: str | None,
    environ: Mapping[str, str],
    today: date,
    live: bool = False,
    providers: Mapping[str, Provider] | None = None,
) -> Checkup:
    """Look at everything that a run of this spec needs; without one, at what the catalogue knows.

    live: send one smallest call to every model whose key is there. providers: by name, in place of those of
    the endpoints, for tests.
    """
    look = _Look(load_catalogue(), environ, today)
    health = store_health(store, environ)
    missing = [health.problem] if health.problem else []
    health_of: tuple[ProviderHealth, ...] = ()
    notes: list[str] = []
    models: list[Model] = []
    endpoints: Mapping[str, Endpoint] = {}
    if spec is None:
        models = [model for model in look.catalogue.models if not model.retired]
        endpoints = make_endpoints(models, look.catalogue, {}, None)
        health_of = look.providers(endpoints, models)
    else:
        try:
            plan = make_plan(spec)
        except HarnessError as error:
            missing += str(error).splitlines()
        else:
            models, endpoints = list(plan.asked_models.values()), plan.endpoints
            health_of = look.providers(endpoints, models)
            missing += [lack for provider in health_of for lack in _lacks(provider)]
            notes += plan.notes
    unasked = _unasked(health_of, needed=spec is not None) if live else {}
    able = {name: endpoint for name, endpoint in endpoints.items() if name not in unasked}
    asked = _ask(models, able, environ, providers) if live else []
    faults = [f"{one.model} could not be asked: {one.fault}" for one in asked if one.fault]
    # Without a spec nothing is needed, so that nothing is missing either.
    missing, notes = (missing, notes + faults) if spec is None else (missing + faults, notes)
    if not asked:
        notes += [_unseen(one) for one in health_of if one.unseen and spec is not None]
    return Checkup(
        python=platform.python_version(),
        versions=versions(PACKAGES),
        store=health,
        mlflow=target_of(environ=environ),
        mlflow_named=bool(environ.get("MLFLOW_TRACKING_URI")),
        spec=None if spec is None else str(spec),
        providers=health_of,
        missing=tuple(missing),
        notes=(*notes, *_old_prices(health_of), *_ended(health_of, today)),
        live=tuple(asked),
        unasked=tuple(f"{name}: not asked, because {why}" for name, why in unasked.items()),
    )


def _ask(
    models: Iterable[Model],
    endpoints: Mapping[str, Endpoint],
    environ: Mapping[str, str],
    given: Mapping[str, Provider] | None,
) -> list[TrialCall]:
    """One call to each model of these endpoints."""
    texts = [model for model in models if model.provider in endpoints]
    opened = given or {
        name: open_provider(endpoint, [m for m in texts if m.provider == name], environ)
        for name, endpoint in endpoints.items()
    }
    return trial_calls([model for model in texts if model.provider in opened], endpoints, opened)


def _unasked(health_of: Iterable[ProviderHealth], *, needed: bool) -> dict[str, str]:
    """The providers that are not asked, with the reason as a clause. needed: a spec asks for them."""
    why: dict[str, str] = {}
    for one in health_of:
        lacks = _lacks(one)
        if lacks:
            why[one.name] = lacks[0].partition(";")[0]
        elif one.unseen and not needed:
            why[one.name] = f"no credentials are in {', '.join(one.unseen)}"
        elif not one.models:
            why[one.name] = "no model of it is named"
    return why


def _unseen(provider: ProviderHealth) -> str:
    return (
        f"no credentials of {provider.name} were seen in {', '.join(provider.unseen)}; set one, or ask with "
        "--live where the machine has a role of its own"
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """With what providers and models are looked at. catalogue: as it is shipped."""

    catalogue: Catalogue
    environ: Mapping[str, str]
    today: date

    def providers(
        self, endpoints: Mapping[str, Endpoint], models: Iterable[Model]
    ) -> tuple[ProviderHealth, ...]:
        every = list(models)
        return tuple(
            self._provider(endpoint, [model for model in every if model.provider == name])
            for name, endpoint in endpoints.items()
        )

    def _provider(self, endpoint: Endpoint, models: Iterable[Model]) -> ProviderHealth:
        known = self.catalogue.providers.get(endpoint.provider)
        lane, why = _lane(endpoint, known)
        key_env = endpoint.api_key_env
        key = "" if key_env is None else self.environ.get(key_env, "").strip()
        folder = models_folder(self.environ) if endpoint.wire == "embedded" else None
        proxied, proxy_fault = _proxied(endpoint, self.environ)
        return ProviderHealth(
            name=endpoint.provider,
            lane=lane,
            why=why,
            address=endpoint.api_base,
            key_env=key_env,
            key_set=bool(key),
            key_fault=hidden_sign(key),
            proxied=proxied,
            proxy_fault=proxy_fault,
            stream=endpoint.stream,
            models=tuple(self._model(model, folder) for model in models),
            address_env=self._lacking_address(endpoint, known),
            unseen=self._unseen(known),
        )

    def _lacking_address(self, endpoint: Endpoint, known: ProviderFacts | None) -> str | None:
        """The variable that has to hold the address and does not."""
        variable = known.address_env if known else None
        found = endpoint.api_base or (variable and self.environ.get(variable, "").strip())
        return None if found else variable

    def _unseen(self, known: ProviderFacts | None) -> tuple[str, ...]:
        """Where credentials were looked for; empty when one place has some, or none are needed."""
        places = known.credentials if known else ()
        return () if any(map(self._holds, places)) else places

    def _holds(self, place: str) -> bool:
        if not place.startswith("~"):
            return bool(self.environ.get(place, "").strip())
        home = self.environ.get("HOME") or self.environ.get("USERPROFILE")
        return home is not None and Path(place.replace("~", home, 1)).is_file()

    def _model(self, model: Model, folder: Path | None) -> ModelHealth:
        """folder: of the weights, `None` where they are somebody else's."""
        name = None if folder is None else (model.weights or model.name)
        found = None if folder is None or name is None else installed(name, folder)
        prices = self._prices(model)
        dated = prices == model.as_of
        return ModelHealth(
            name=model.name,
            model_class=model.model_class,
            prices=prices,
            price_age_days=(self.today - date.fromisoformat(prices)).days if dated else None,
            weights_name=name,
            weights=None if found is None else str(found),
            ends=model.deprecation_date,
        )

    def _prices(self, model: Model) -> str:
        if model.prices is None:
            return "unknown"
        if model.prices == FREE:
            return "free"
        shipped = next((m for m in self.catalogue.models if m.full_name == model.full_name), None)
        if shipped is None or shipped.prices != model.prices:
            return "as the spec states"
        return shipped.as_of


def _lane(endpoint: Endpoint, known: ProviderFacts | None) -> tuple[Lane, str]:
    """The lane of an endpoint, and why it takes it. known: what the catalogue says of the provider."""
    if endpoint.wire == "embedded":
        return "this machine", "its weights run here"
    if endpoint.wire == "openai":
        served = known is not None and known.wire == "embedded"
        return "direct", "the spec gives the address of a server" if served else "it speaks OpenAI's format"
    forced = known is None or known.wire != "litellm"
    return "litellm", "the spec says lane: litellm" if forced else "its format is not OpenAI's"


def _proxied(endpoint: Endpoint, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether calls on the direct lane go through a proxy, and why they cannot; empty: they can."""
    if endpoint.wire != "openai" or endpoint.api_base is None:
        return False, ""
    try:
        return proxy_of(endpoint.api_base, environ) is not None, ""
    except ProviderError as error:
        return False, str(error)


def _lacks(provider: ProviderHealth) -> list[str]:
    """What this provider needs and has not."""
    lacks: list[str] = []
    if provider.key_env is not None and not provider.key_set:
        lacks.append(
            f"{provider.key_env} is not set, and {provider.name} needs it; set it in the environment or in "
            ".env, or leave the provider out of search.models"
        )
    if provider.key_fault:
        lacks.append(f"{provider.key_env}, the key of {provider.name}, cannot be sent: {provider.key_fault}")
    if provider.proxy_fault:
        lacks.append(f"{provider.name} cannot be asked: {provider.proxy_fault}")
    if provider.address_env is not None:
        lacks.append(
            f"{provider.address_env} is not set, and {provider.name} has no address without it; set it, or "
            f"state providers.{provider.name}.api_base"
        )
    lacks += [
        f"the weights of {provider.name}/{model.name} are not here; fetch them with "
        f"`harness models pull {model.weights_name}`"
        for model in provider.models
        if model.weights_name is not None and model.weights is None
    ]
    served = any(model.weights_name and need_server(model.weights_name) for model in provider.models)
    if served and find_spec("xllamacpp") is None:
        lacks.append(
            "xllamacpp, which runs local models, is not installed: pip install 'xllamacpp>=2026.9,<2027'"
        )
    return lacks


def _old_prices(providers: Iterable[ProviderHealth]) -> list[str]:
    aged = {
        (provider.name, model.prices, model.price_age_days)
        for provider in providers
        for model in provider.models
        if model.price_age_days is not None and model.price_age_days > OLD_DAYS
    }
    return [
        f"the prices of {name} are of {day}, {age} days old: compare them with the vendor's list, and state "
        f"what changed under providers.{name}.models"
        for name, day, age in sorted(aged)
    ]


def _ended(providers: Iterable[ProviderHealth], today: date) -> list[str]:
    return [
        f"{provider.name}/{model.name}: the day that was announced for its end, {model.ends}, is over; ask "
        "it with --live, or choose another model"
        for provider in providers
        for model in provider.models
        if model.ends is not None and date.fromisoformat(model.ends) < today
    ]
