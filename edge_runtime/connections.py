"""HTTP connections that end: uvicorn alone waits without limit for a client that stops in the middle of a request or of an answer."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 15.0  # from connecting, or from the last answer, to the end of the next answer


class TimedProtocol(H11Protocol):
    """HTTP/1.1 in which every request and its answer must be over in time; else the connection is cut."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _start(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(SECONDS, self.transport.abort)
