"""What no custom parameter may be: the parts of a request by which it would ask or cost something else.

In: names and values of parameters that are passed on as they are. Out: why one is not, as a clause. Specs,
settings that are handed in and calls on their way out are all held against this list: what is billed is
bounded before a call is sent, and nothing may be sent that the bound does not know of.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.records import SENT_FIELDS, JsonValue

# What every call sets by itself.
OURS = frozenset(
    {
        *(
            "model",
            "messages",
            "input",
            "seed",
            "stream",
            "stream_options",
            "api_key",
            "api_base",
            "base_url",
        ),
        *("drop_params", "max_retries", "num_retries", "timeout", "extra_body", "extra_headers"),
        *("extra_query", "headers", "mock_response"),
    }
)
# The output limit in the words of other formats.
LIMITS = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_new_tokens", "max_tokens_to_sample", "max_gen_len"),
        *("maxTokens", "maxOutputTokens", "num_predict", "n_predict"),
    }
)
BILLED = {
    "asks for more answers than one, and all are billed": frozenset(
        {"n", "best_of", "num_return_sequences", "num_generations", "candidate_count", "candidateCount"}
    ),
    "has other models asked, at other prices": frozenset({"models", "fallbacks", "route", "model_list"}),
    "puts texts into the prompt that nobody can count before they are billed": frozenset(
        {
            *("web_search_options", "search_parameters", "plugins", "connectors", "mcp_servers"),
            *("data_sources", "dataSources", "cached_content", "cachedContent", "previous_response_id"),
            "conversation",
        }
    ),
    "is billed at other prices than those of the catalogue": frozenset(
        {"service_tier", "speed", "inference_geo", "modalities", "audio", "prediction"}
    ),
}
TOOLS = "tools"
# The forms of a tool that the caller runs: OpenAI's two, Anthropic's and Google's; and what may stand beside.
_FORMS = frozenset({"function", "custom", "input_schema", "function_declarations", "functionDeclarations"})
_BESIDE = frozenset({"type", "name", "description", "strict", "cache_control"})


def custom_fault(name: str) -> str:
    """Why no custom parameter may be called so, as a clause that ends in what to do; empty: it may."""
    if name in OURS:
        return f"{name} is no parameter of a model, but what every call sets by itself; remove it"
    if name in LIMITS:
        return (
            f"{name} is the output limit, which every call sets by itself; remove it, and write "
            "max_output_tokens among the settings"
        )
    if name in SENT_FIELDS:
        return f"{name} is a setting; write it by that name, not under extra"
    reason = next((why for why, names in BILLED.items() if name in names), "")
    return f"{name} {reason}, so that no cap would hold; remove it" if reason else ""


def tools_fault(value: JsonValue) -> str:
    """Why these tools cannot be sent along, as a clause; empty: they can.

    The definition of a tool that the caller runs is all that it adds to a prompt. One that the provider runs
    (a search, an interpreter) adds what it finds, and often a fee.
    """
    for tool in value if isinstance(value, list) else ():
        parts = tool if isinstance(tool, dict) else {}
        kind = parts.get("type", "function")
        if kind not in ("function", "custom") or not _FORMS & parts.keys() or parts.keys() - _FORMS - _BESIDE:
            named = kind if isinstance(kind, str) and "type" in parts else ", ".join(parts)
            return (
                f"{TOOLS} holds {named or 'nothing'!r}, expected definitions of functions alone: what a "
                "provider runs by itself puts texts into the prompt that nobody can count before they are "
                "billed; remove it"
            )
    return ""


def custom_faults(extra: Mapping[str, JsonValue]) -> list[str]:
    """Why these custom parameters cannot be sent, a clause for each that is at fault."""
    return [fault for name in extra if (fault := custom_fault(name) or _of_value(name, extra[name]))]


def _of_value(name: str, value: JsonValue) -> str:
    return tools_fault(value) if name == TOOLS else ""
