"""Loading heavy libraries, at their doors; litellm, which two rooms ask, is loaded here alone."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

# Where litellm calls a provider otherwise when it is asked for vectors.
FOR_VECTORS: Mapping[str, str] = {"ollama_chat": "ollama"}
# Prefixes whose requests hold what stands in litellm's `extra_body` as it is. Others would send it under that
# name, or, as Ollama's, beside the options where nobody reads it.
IN_BODY = frozenset(
    {
        *("openai", "azure", "together_ai", "groq", "deepseek", "mistral", "openrouter", "hosted_vllm"),
        "lm_studio",
    }
)
# Arguments of its call that are parts of a request too: it sends them, or refuses the model.
_OF_REQUESTS = frozenset(
    {
        *("logit_bias", "prompt_cache_key", "response_format", "safety_identifier", "thinking", "user"),
        "verbosity",
    }
)
# What it reads beside its own lists: answers made up, addresses, accounts, and switches of its own.
_UNLISTED = frozenset(
    {
        *("additional_drop_params", "apikey", "custom_endpoint", "drop_params", "engine", "extra_body"),
        *("extra_query", "fake_stream", "is_async", "is_vertex_request", "json_mode", "litellm_params"),
        *("model_id", "organization", "original_function", "passthrough", "prompt", "session_id", "system"),
        "url",
    }
)
_UNLISTED_STARTS = ("_", "anthropic_", "aws_", "azure_", "litellm", "mock_", "vertex_", "watsonx_", "wx_")
_ALONE = threading.Event()


def run_alone() -> None:
    """Say that this process is ours alone, as the command line's is.

    What is there when a library was loaded is then left out of every later search for garbage, which spares
    a quarter of the CPU time of calls through litellm. In a notebook that would keep the user's own garbage.
    """
    _ALONE.set()


@contextmanager
def loading() -> Generator[None]:
    """Import in this block without the search for garbage: classes and functions stay, and there are many.

    Spares about a sixth of the time of a large library.
    """
    searching, loaded = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
        if _ALONE.is_set() and len(sys.modules) > loaded:
            gc.freeze()


def load_litellm() -> Any:
    """litellm, tamed: no look-up of prices or tokenizers on the network, nothing printed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_OFFLINE_MODE", "true")
    with loading():
        import litellm

    if "LITELLM_LOG" not in os.environ:
        # What goes wrong is told by the fault of the call; litellm logs it before, with tracebacks.
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    return litellm


def openai_encoding(name: str) -> Any:
    """An encoding of OpenAI's, a `tiktoken.Encoding`, from a file in litellm's package: nothing is fetched.

    litellm's own counters are of no use here: 1.106 counts all of OpenAI's chat models by cl100k_base.
    """
    _ = load_litellm().encoding  # when this is first read, litellm points tiktoken at the files it holds
    with loading():
        import tiktoken

    return tiktoken.get_encoding(name)


def is_own_argument(name: str) -> bool:
    """Whether litellm would take a custom parameter of this name for itself, instead of sending it.

    With such a name a spec could have answers made up, another model asked, or the request sent elsewhere.
    """
    if name in _OF_REQUESTS:
        return False
    litellm = load_litellm()
    from inspect import signature

    taken: set[str] = {*signature(litellm.acompletion).parameters, *litellm.types.utils.all_litellm_params}
    return name in taken or name in _UNLISTED or name.startswith(_UNLISTED_STARTS)
