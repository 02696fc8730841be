"""Money as Astria tells it, and as one reads it. Apart from prices.py, so that `status` needs no more than this."""

from typing import Final

USD: Final = 100_000  # thousandths of a cent in a dollar


def dollars(usd: float) -> str:
    """Money as one reads it; small amounts keep what matters of them."""
    if usd < 0:
        return f"-{dollars(-usd)}"
    if usd == 0 or usd >= 0.1:
        return f"${usd:.2f}"
    return f"${usd:.4f}".rstrip("0") if usd >= 0.00005 else "less than $0.0001"
