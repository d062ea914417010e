"""The tests. A package, so that the parts in `tests/parts` can be imported from all of them."""
