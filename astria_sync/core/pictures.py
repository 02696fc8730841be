"""Which picture is which, when a prompt's list is read again."""

from collections.abc import Mapping, Sequence

from astria_sync.core.wire import identity


def numbered(urls: Sequence[str], known: Mapping[str, int]) -> dict[int, tuple[str, str]]:
    """N → (URL, identity) for a prompt's list of pictures; `known` are the identities that have a number already.

    A picture keeps its number when its address is only signed anew or the list is in another order. Where addresses differ
    in nothing but their query, the place in the list is all there is to tell them apart.
    """
    names = [identity(url) for url in urls]
    if len(set(names)) < len(names):
        return {n: (url, url) for n, url in enumerate(urls, start=1)}
    taken = {known[name] for name in names if name in known}
    free = (
        n for n in range(1, len(urls) + len(known) + 1) if n not in taken and n not in set(known.values())
    )
    # A list that is as long as what is known, with other names: the host changed, the pictures did not.
    if len(urls) == len(known) and not taken:
        return {n: (url, name) for n, (url, name) in enumerate(zip(urls, names, strict=True), start=1)}
    return {
        known[name] if name in known else next(free): (url, name)
        for url, name in zip(urls, names, strict=True)
    }
