"""`serve`: a page to draw on and an HTTP API, for one model, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket

from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.preprocess import Preprocessing

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000
MAX_CONNECTIONS = 256


def serve(classifier: Classifier, contract: Preprocessing, name: str, host: str, port: int) -> None:
    """Answer requests until interrupted (KeyboardInterrupt). InputError when a library is missing or the port is taken."""
    try:
        import PIL  # noqa: F401 - asked for now, not at the first picture
        import uvicorn

        from edge_runtime.connections import TimedProtocol
        from edge_runtime.web import create_app
    except ModuleNotFoundError as error:
        raise InputError(f"serve needs {error.name}, which is not installed: pip install 'edgeproof[serve]'.") from None
    listener = listen(host, port)
    config = uvicorn.Config(
        create_app(classifier, contract, name),
        http=TimedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=0,
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    open_to_all = not ipaddress.ip_address(listener.getsockname()[0].split("%")[0]).is_loopback

    class Announced(uvicorn.Server):
        """Says where it is once it answers, and Ctrl-C is its own."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"{name} on {classifier.model.runtime} {classifier.model.runtime_version}: {address} (Ctrl-C ends it)", flush=True)
            if open_to_all:
                print("Everybody who reaches this machine on the network can use it: there is no password.", flush=True)

    Announced(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; InputError when it cannot be had."""
    if not 0 <= port < 1 << 16:  # the system's own resolver would take the lower 16 bits
        raise InputError(f"There is no port {port}: choose a --port from 1 to 65535, or 0 for any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise InputError(f"Cannot listen on {host}:{port} ({_cause(error)}): choose another --host.") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(f"Cannot listen on {host}:{port} ({_cause(error)}): choose another --port or --host.") from None
    return listener


def _cause(error: OSError | OverflowError) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()
