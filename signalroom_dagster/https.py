"""Which certificates this process trusts: those that httpx would, read once.

httpx reads them for every client, which takes 25 ms of processor time, also where the address is
plain HTTP. It is imported by the first who asks something, because definitions ask nobody.

https://www.python-httpx.org/advanced/ssl/
"""

import functools
import ssl


@functools.cache
def trusted() -> ssl.SSLContext:
    """What to hand to httpx as `verify`."""
    import httpx

    return httpx.create_ssl_context()
