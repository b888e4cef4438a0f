"""Who counts as one client."""

import ipaddress


def client_of(address: tuple[str, int] | None) -> str:
    """A name for whoever asks from an address; all who ask over a Unix socket are one.

    An IPv6 address is its network of 64 bits: any one client has all addresses of such a network.
    """
    if address is None:
        return ""
    try:
        found = ipaddress.ip_address(address[0])
    except ValueError:
        return address[0]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
