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
