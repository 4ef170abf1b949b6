"""Messages of a pipe, and errors on their way through it."""

import io

import pytest

from parley import errors
from parley.children import wire


def test_a_message_comes_out_as_it_went_in() -> None:
    stream = io.BytesIO()
    wire.write(stream, b"A", b"body")
    stream.seek(0)
    assert wire.read(stream) == (b"A", b"body")


@pytest.mark.parametrize("cut", [0, 3, 5, 8])
def test_a_message_that_is_cut_off_is_the_end(cut: int) -> None:
    with pytest.raises(EOFError):
        wire.read(io.BytesIO(wire.pack(b"A", b"body")[:cut]))


def test_a_header_that_announces_what_nobody_sends_is_the_end() -> None:
    with pytest.raises(EOFError):
        wire.read(io.BytesIO(b"Hello, here is a library that prints." * 10))


KINDS = [errors.ConfigError, errors.EngineError, errors.CapacityError, errors.NotFound, errors.TimedOut]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_class_and_sentence(kind: type[errors.ParleyError]) -> None:
    back = wire.unpack_error(wire.pack_error(kind("It is so.")))
    assert (type(back), str(back)) == (kind, "It is so.")


def test_no_error_stays_none() -> None:
    assert wire.unpack_error(wire.pack_error(None)) is None


def test_a_code_that_is_not_known_keeps_its_name() -> None:
    error = errors.from_code("brand_new", "Something.")
    assert (type(error), error.code) == (errors.ParleyError, "brand_new")


def test_what_an_engine_raises_becomes_a_sentence() -> None:
    def work() -> None:
        raise RuntimeError("out of range")

    error = wire.attempt(work, "The model x failed")
    assert isinstance(error, errors.EngineError)
    assert str(error) == "The model x failed: RuntimeError('out of range')."
