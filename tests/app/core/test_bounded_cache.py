"""Memory with an end."""

from app.core.bounded_cache import BoundedCache


def test_what_was_used_longest_ago_is_dropped() -> None:
    """Reading counts as use."""
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)

    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (1, None, 3, 2)


def test_entries_can_be_forgotten() -> None:
    """One, a missing one, all."""
    cache: BoundedCache[str, int] = BoundedCache(5)
    for name in "abc":
        cache.put(name, 1)

    cache.drop("a")
    cache.drop("a")
    assert (cache.get("a"), len(cache)) == (None, 2)

    cache.clear()
    assert len(cache) == 0
