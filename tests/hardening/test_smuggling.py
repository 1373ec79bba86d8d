"""One request is one request: the application gets nothing that it could count differently than nginx.

Forwarded headers, websocket and other upgrades against a stub: tests/nginx/test_nginx_forwarding.py.
"""

from __future__ import annotations

import json

import pytest
from rawhttp import Watch, send, statuses, watched

from tests.support.world import World

HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _inner(watch: Watch) -> bytes:
    """A complete request, to be hidden in the body of another."""
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % watch.path("inner").encode()


def _post(watch: Watch, headers: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\n%b%b\r\n%b" % (watch.path("outer").encode(), HOST, headers, body)


# Headers of a POST whose body holds another request; {all} is the length of everything after the headers,
# {first} that of the line with the chunk's length.
AMBIGUOUS = {
    "Content-Length, then Transfer-Encoding": b"Content-Length: {all}\r\n" + CHUNKED,
    "Transfer-Encoding, then Content-Length": CHUNKED + b"Content-Length: {first}\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: {all}\r\n",
    "two lengths that agree": b"Content-Length: {all}\r\nContent-Length: {all}\r\n",
    "a list of lengths": b"Content-Length: 0, {all}\r\n",
    "a signed length": b"Content-Length: +{all}\r\n",
    "a hexadecimal length": b"Content-Length: 0x10\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\nContent-Length: {all}\r\n",
    "a vertical tab before the value": b"Transfer-Encoding: \x0bchunked\r\nContent-Length: {all}\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "a coding in quotes": b'Transfer-Encoding: "chunked"\r\n',
    "two codings": b"Transfer-Encoding: identity, chunked\r\n",
    "two codings in two lines": CHUNKED + b"Transfer-Encoding: identity\r\n",
    "a folded line": b"X-Fold: a\r\n Transfer-Encoding: chunked\r\nContent-Length: {all}\r\n",
    "a carriage return within a value": b"X-A: a\rTransfer-Encoding: chunked\r\nContent-Length: {all}\r\n",
    "a zero byte within a value": b"X-Zero: a\x00b\r\nContent-Length: {all}\r\n",
    "a name with a space": b"Transfer Encoding: chunked\r\nContent-Length: {all}\r\n",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_an_ambiguous_length_is_refused(prod: World, headers: bytes) -> None:
    """One refusal, the connection closed, and the application has seen nothing.

    Red when an nginx that passes such bytes on takes this one's place: no setting of this one does. That a
    request which is passed on would be counted is what `follower` below shows.
    """
    with watched(prod) as watch:
        inner = _inner(watch)
        chunk = b"%x\r\n" % len(inner)
        body = chunk + inner + b"\r\n0\r\n\r\n"
        lengths = headers.replace(b"{all}", b"%d" % len(body)).replace(b"{first}", b"%d" % len(chunk))
        answer = send(prod.port, _post(watch, lengths, body))
    assert statuses(answer) in ([400], [501])
    assert watch.seen() == []


BROKEN_CHUNKS = {
    "a negative length": b"-1\r\nx\r\n0\r\n\r\n",
    "a prefixed length": b"0x1\r\nx\r\n0\r\n\r\n",
    "a length that overflows": b"10000000000000001\r\nx\r\n0\r\n\r\n",
    "line feeds alone": b"1\nx\n0\n\n",
    "an extension that ends in a line feed": b"1;a\nx\r\n0\r\n\r\n",
    "more than was announced": b"1\r\nxy\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
def test_broken_chunks_are_refused(prod: World, body: bytes) -> None:
    """Red when an nginx that takes such bytes for a chunk takes this one's place: no setting of it does."""
    with watched(prod) as watch:
        answer = send(prod.port, _post(watch, CHUNKED, body + _inner(watch)))
    assert statuses(answer) == [400]
    assert watch.seen() == []


# The request as sent; what the project must see of it is in the test.
TRANSLATED = {
    "chunks": (CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    "chunks with extensions": (CHUNKED, b'3;name=value\r\nabc\r\n2;"\r\nde\r\n0\r\n\r\n'),
    "chunks with trailers": (CHUNKED, b"5\r\nabcde\r\n0\r\nContent-Length: 50\r\nHost: evil.example\r\n\r\n"),
    "names with underscores": (
        b"Content-Length: 5\r\nContent_Length: 50\r\nTransfer_Encoding: chunked\r\n"
        b"X_Forwarded_Proto: https\r\n",
        b"abcde",
    ),
    "an upgrade to HTTP/2": (
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 5\r\n",
        b"abcde",
    ),
    "line feeds alone": (b"X-Feed: a\nContent-Length: 5\r\n", b"abcde"),
}


@pytest.mark.parametrize(("headers", "body"), TRANSLATED.values(), ids=TRANSLATED.keys())
def test_what_is_passed_on_has_one_length_and_no_coding(prod: World, headers: bytes, body: bytes) -> None:
    """Whatever the form it came in; and what follows the body on the connection is a request of its own.

    Red with `proxy_request_buffering off` (chunks then reach the application), `underscores_in_headers on`,
    or `Upgrade $http_upgrade` in proxy.conf.
    """
    with watched(prod) as watch:
        follower = b"GET %b HTTP/1.1\r\n%b%b\r\n" % (watch.path("follower").encode(), HOST, CLOSE)
        answer = send(prod.port, _post(watch, headers, body) + follower)
    assert statuses(answer) == [200, 200]
    assert watch.seen() == ["POST outer", "GET follower"]
    seen = json.loads(answer.split(b"\r\n\r\n")[1].partition(b"HTTP/1.1")[0])
    assert seen["body"] == "abcde"
    told = {name.lower(): value for name, value in seen["headers"].items()}
    assert told["content-length"] == "5"
    assert told["host"] == "localhost"
    assert not {"transfer-encoding", "upgrade", "connection", "trailer"} & told.keys()
    assert told["x-forwarded-proto"] == "http" and not seen["secure"]


def test_a_request_in_the_body_of_a_get_is_a_body(prod: World) -> None:
    """Red when nginx or gunicorn passes over the body of a method that rarely has one."""
    with watched(prod) as watch:
        inner = _inner(watch)
        lines = (watch.path("outer").encode(), HOST, CLOSE, len(inner), inner)
        answer = send(prod.port, b"GET %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % lines)
    assert statuses(answer) == [200]
    assert watch.seen() == ["GET outer"]


NOT_FOR_THE_APPLICATION = {
    "HTTP/0.9": b"GET {path}\r\n",
    "HTTP/2 from the first byte": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in the line": b"GET {path} HTTP/2.0\r\n" + HOST + b"\r\n",
    "no Host": b"GET {path} HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET {path} HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "a folded Host": b"GET {path} HTTP/1.1\r\n" + HOST + b" evil.example\r\n\r\n",
    "an indented Host": b"GET {path} HTTP/1.1\r\n Host: evil.example\r\n" + HOST + b"\r\n",
    "tabs in the line": b"GET\t{path}\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT localhost:8000 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TRACE": b"TRACE {path} HTTP/1.1\r\n" + HOST + b"Cookie: sessionid=1\r\n\r\n",
    "a chunked HTTP/1.0": b"POST {path} HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n",
    "another site's absolute address": b"GET http://evil.example{path} HTTP/1.1\r\n" + HOST + b"\r\n",
}


@pytest.mark.parametrize("request_", NOT_FOR_THE_APPLICATION.values(), ids=NOT_FOR_THE_APPLICATION.keys())
def test_what_is_no_request_of_this_site_never_reaches_the_application(prod: World, request_: bytes) -> None:
    """Red when site.conf.template is the default server (HTTP/0.9 has no Host)."""
    with watched(prod) as watch:
        answer = send(
            prod.port, request_.replace(b"{path}", watch.path("outer").encode()) + _inner(watch), 1.5
        )
    assert not {200, 301, 302} & set(statuses(answer)[:1]), answer[:200]
    assert "outer" not in str(watch.seen())
    assert b"sessionid" not in answer
    assert f"/{watch.token}/outer".encode() not in answer
