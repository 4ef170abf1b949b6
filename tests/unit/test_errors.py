"""Errors that came over a wire are the kinds that their codes stand for."""

from __future__ import annotations

import pytest

from parley import errors


def kinds(root: type[errors.ParleyError]) -> list[type[errors.ParleyError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds(errors.ParleyError) if kind.__module__ == errors.__name__])
def test_each_code_is_its_own_kind_whatever_a_module_derives_from_it(kind: type[errors.ParleyError]) -> None:
    class Private(kind):  # type: ignore[misc, valid-type]
        """One that takes no message, as a module may have for itself."""

        def __init__(self) -> None:
            super().__init__("Something else.")

    error = errors.from_code(kind.code, "The request is wrong.")
    assert (type(error), error.code, str(error)) == (kind, kind.code, "The request is wrong.")
    del Private
