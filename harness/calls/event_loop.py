"""The event loop on which calls run: uvloop where it can be had, else that of the standard library."""

from __future__ import annotations

import asyncio


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop that nobody runs yet."""
    try:
        from uvloop import new_event_loop
    except ImportError:  # there is none for Windows
        from asyncio import new_event_loop
    return new_event_loop()
