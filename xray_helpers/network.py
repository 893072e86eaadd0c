"""Whether a server can be reached from this machine."""

import socket
import threading
from urllib.parse import urlsplit

CONNECT_SECONDS = 3.0


def host(url: str) -> str:
    """The server's name in an address."""
    return urlsplit(url).hostname or url


def reachable(url: str, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether a connection to the host of `url` opens within `seconds`, name look-up included.

    Where a proxy is set for it (`$https_proxy`), whether one to the proxy opens.
    """
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url))
    parts = urlsplit(prepend_scheme_if_needed(proxy, "http") if proxy else url)
    address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    opened = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
        except OSError:
            return
        opened.set()

    # A thread, because the look-up of a host's name has no time limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return opened.is_set()
