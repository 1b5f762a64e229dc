"""The OpenAI wire format, spoken directly: for OpenAI, Together, local servers and any `api_base`.

In: a call. Out: a reply, from one POST to `/chat/completions` over one shared connection pool. The
format needs no translation, so nothing stands between the settings and the wire.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from harness.calls.faults import kind_of, retry_after_s, safe
from harness.calls.provider import ProviderFault
from harness.records import Call, Reply, Usage

if TYPE_CHECKING:
    import aiohttp

MOST_TOKENS = 2**31  # no request has as many, and no more fit the columns of a database
# Models that refuse the older name of the output limit.
_COMPLETION_TOKENS = re.compile(r"^(o\d|gpt-[5-9])")


class DirectProvider:
    """Speaks the OpenAI chat format to one `api_base`. key: sent as bearer token when given."""

    def __init__(self, api_base: str, key: str | None = None) -> None:
        self._url = api_base.rstrip("/") + "/chat/completions"
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"DirectProvider({self._url!r})"

    async def complete(self, call: Call) -> Reply:
        """Send one request and read its answer; see `provider.Provider`."""
        import aiohttp

        try:
            body = json.dumps(request_body(call)).encode()
            # A redirect would be a second request, and might carry prompt and key to somebody else.
            async with self._open().post(self._url, data=body, allow_redirects=False) as response:
                raw = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise ProviderFault("connection", self._safe(f"no connection: {error}")) from error
        except (aiohttp.ClientError, OSError) as error:
            # The connection broke when the request may have been out (a reset comes as a plain
            # ClientOSError): the provider may have done the work.
            raise ProviderFault("connection", self._safe(f"connection lost: {error}"), billed=True) from error
        if status != 200:
            text = raw.decode("utf-8", "replace")
            raise ProviderFault(
                kind_of(status, text),
                self._safe(f"status {status}: {text}"),
                retry_after_s=retry_after_s(headers),
            )
        return self._read(raw)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(limit=0),  # the engine limits
                timeout=aiohttp.ClientTimeout(total=None),  # the engine times
            )
        return self._session

    def _read(self, raw: bytes) -> Reply:
        try:
            answer = cast("dict[str, Any]", json.loads(raw))
            choice = answer["choices"][0]
            return Reply(
                text=_text(choice["message"]["content"]),
                finish_reason=_word(choice.get("finish_reason")),
                usage=read_usage(answer.get("usage")),
                served_by=_word(answer.get("model")),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            shown = self._safe(raw.decode("utf-8", "replace"))
            raise ProviderFault(
                "malformed", f"unreadable answer ({error!r}): {shown}", billed=True
            ) from error

    def _safe(self, text: str) -> str:
        return safe(text, self._key)


def request_body(call: Call) -> dict[str, Any]:
    """The JSON body of this call: model, messages, and the settings under the names of the wire."""
    body: dict[str, Any] = {
        "model": call.settings.model_name,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
    }
    for name, value in call.settings.sent().items():
        body[_wire_name(name, call.settings.model_name)] = value
    return body


def read_usage(usage: Mapping[str, Any] | None) -> Usage:
    """Token counts of an OpenAI `usage` object; what it does not state stays unknown."""
    if not usage:
        return Usage()
    prompt = usage.get("prompt_tokens_details") or {}
    output = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        cached_input_tokens=count(prompt.get("cached_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        reasoning_tokens=count(output.get("reasoning_tokens")),
    )


def count(stated: object) -> int | None:
    """A number of tokens as a provider states it; anything that cannot be one is unknown.

    A negative or a huge count would move the ledger, and with it the cap.
    """
    if not isinstance(stated, int) or isinstance(stated, bool):
        return None
    return stated if 0 <= stated < MOST_TOKENS else None


def _word(stated: object) -> str | None:
    return stated if isinstance(stated, str) else None


def _text(content: object) -> str:
    if content is not None and not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return content or ""


def _wire_name(name: str, model_name: str) -> str:
    if name != "max_output_tokens":
        return name
    return "max_completion_tokens" if _COMPLETION_TOKENS.match(model_name) else "max_tokens"
