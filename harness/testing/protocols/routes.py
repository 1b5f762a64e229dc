"""Which path speaks which format, with and without the version in front, as clients write it, Azure's too.

In: a path. Out: a format, or none.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.testing.protocols import bedrock, bedrock_embeddings, gemini, vertex_anthropic, vertex_embeddings
from harness.testing.protocols.anthropic import ANTHROPIC
from harness.testing.protocols.ollama import OLLAMA_CHAT, OLLAMA_EMBED
from harness.testing.protocols.openai_chat import OPENAI_CHAT
from harness.testing.protocols.openai_embeddings import OPENAI_EMBEDDINGS
from harness.testing.protocols.openai_responses import OPENAI_RESPONSES
from harness.testing.wire import Wire

_VERSIONED: Mapping[str, Wire] = {
    "/chat/completions": OPENAI_CHAT,
    "/responses": OPENAI_RESPONSES,
    "/embeddings": OPENAI_EMBEDDINGS,
    "/messages": ANTHROPIC,
}
_PATHS: Mapping[str, Wire] = {
    **{prefix + path: wire for path, wire in _VERSIONED.items() for prefix in ("/v1", "")},
    "/api/chat": OLLAMA_CHAT,
    "/api/embed": OLLAMA_EMBED,
}
# Azure names the model in the path, and OpenAI's library repeats it in the body.
_DEPLOYMENTS = "/openai/deployments/"
# Google names the model in the path too, before a verb; Claude on Vertex AI has verbs of its own.
_GOOGLE: Mapping[str, Wire] = {
    **dict.fromkeys(gemini.GENERATES, gemini.GEMINI),
    **dict.fromkeys(gemini.EMBEDS, gemini.GEMINI_EMBED),
    **dict.fromkeys(vertex_anthropic.PREDICTS, vertex_anthropic.VERTEX_ANTHROPIC),
    **dict.fromkeys(vertex_embeddings.PREDICTS, vertex_embeddings.VERTEX_EMBEDDINGS),
}
_BEDROCK: Mapping[str, Wire] = {
    **dict.fromkeys(bedrock.CONVERSES, bedrock.BEDROCK),
    **dict.fromkeys(bedrock_embeddings.INVOKES, bedrock_embeddings.BEDROCK_EMBEDDINGS),
}


def wire_of(path: str) -> Wire | None:
    """The format that is spoken at this path; `None`: nothing answers questions there."""
    wire = _PATHS.get(path)
    if wire is None and "/models/" in path:
        return _GOOGLE.get(path.rpartition(":")[2])
    if wire is None and path.startswith("/model/"):
        return _BEDROCK.get(path.rpartition("/")[2])
    if wire is None and path.startswith(_DEPLOYMENTS):
        return _PATHS.get("/" + path.removeprefix(_DEPLOYMENTS).partition("/")[2])
    return wire
