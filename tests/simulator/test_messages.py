"""Bodies of every kind come out the same."""

import json

import httpx
import pytest

from astria_sync.simulator import Request
from astria_sync.simulator.forms import MalformedError, flatten, nest, parse_form


def test_names_with_brackets_nest_as_in_rails():
    """Lists, mappings, and lists of mappings that begin anew when a key comes again."""
    pairs = [
        ("tune[title]", "jane"),
        ("tune[images][]", 1),
        ("tune[images][]", 2),
        ("tune[prompts_attributes][][text]", "a"),
        ("tune[prompts_attributes][][tags][]", "x"),
        ("tune[prompts_attributes][][tags][]", "y"),
        ("tune[prompts_attributes][][text]", "b"),
        ("plain", "z"),
        ("odd[", "kept"),
    ]
    assert nest(pairs) == {
        "tune": {
            "title": "jane",
            "images": [1, 2],
            "prompts_attributes": [{"text": "a", "tags": ["x", "y"]}, {"text": "b"}],
        },
        "plain": "z",
        "odd[": "kept",
    }


def test_json_and_forms_are_the_same_request():
    """A JSON body flattens to the fields that a form would have."""
    body = {
        "tune": {"title": "jane", "image_urls": ["u"], "prompts_attributes": [{"text": "a"}, {"text": "b"}]}
    }
    assert nest(flatten(body)) == body
    request = Request.parse(
        "post", "http://x/tunes?limit=2", {"Content-Type": "application/json"}, json.dumps(body).encode()
    )
    assert (request.method, request.path, request.pairs) == ("POST", "/tunes", [("limit", "2")])
    assert ("tune[title]", "jane") in request.fields


@pytest.mark.parametrize("name", ['a"b.jpg', "jäne.jpg", "x;y=z.jpg", "back\\slash.jpg"])
def test_multipart_keeps_names_and_bytes(name):
    """What httpx sends comes out byte for byte, with the name it had."""
    data = b"\r\n--almost\r\n\x00\xff" * 1000
    sent = httpx.Request(
        "POST",
        "http://x/",
        data={"tune[title]": "jäne"},
        files={"tune[images][]": (name, data, "image/jpeg")},
    )
    request = Request.parse("POST", "/", sent.headers, sent.read())
    assert request.fields == (("tune[title]", "jäne"),)
    key, file = request.files[0]
    assert (key, file.filename, file.content_type) == ("tune[images][]", name, "image/jpeg")
    assert bytes(file.data) == data


def test_curl_escapes_by_backslash():
    """The official client sends by curl, which writes a quote in a name as backslash and quote."""
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a\\"b.jpg"\r\n\r\nx\r\n--b--\r\n'
    assert parse_form("multipart/form-data; boundary=b", body)[0][1].filename == 'a"b.jpg'


@pytest.mark.parametrize("body", [b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\nhalf", b"nothing"])
def test_a_body_that_ends_early_is_malformed(body):
    """Half a multipart body is an error, not a smaller request."""
    with pytest.raises(MalformedError):
        parse_form("multipart/form-data; boundary=b", body)


def test_urlencoded_bodies_work_and_broken_json_is_malformed():
    """The other two ways to send fields."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert Request.parse("POST", "/", kind, b"a[b]=1&c=").fields == (("a[b]", "1"), ("c", ""))
    with pytest.raises(MalformedError):
        Request.parse("POST", "/", {"content-type": "application/json"}, b"{")
