"""Server-sent events, as far as answers come in them.

In: the bytes of a response, cut anywhere. Out: the data of each event, once its end has come. Names, ids and
retry times of events are read past: no chat format needs them. It knows nothing of what the data means.
"""

from __future__ import annotations

_MARK = b"\xef\xbb\xbf"  # of byte order: allowed once, at the very start
_ENDS = (b"\n", b"\r")


class EventReader:
    """Cuts a stream of bytes into events, in linear time however the bytes are cut.

    Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream". As there, an event is complete only
    with the empty line after it: what a broken stream leaves behind is no event.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # of a line whose end has not come
        self._data: list[bytes] = []  # lines of the event whose end has not come
        self._begun = False
        self._after_return = False  # a line feed now belongs to the line that ended before

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that these bytes complete, in order, lines joined by a line feed."""
        if self._after_return and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest.append(chunk)
            return []
        self._after_return = chunk.endswith(b"\r")
        # `bytes.splitlines` ends lines at \n, \r and \r\n alone; that of `str` ends them at seven more.
        lines = b"".join((*self._rest, chunk)).splitlines()
        self._rest = [] if chunk.endswith(_ENDS) else [lines.pop()]
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> list[bytes]:
        if not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_MARK)
        events: list[bytes] = []
        for line in lines:
            if not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
        return events
