"""The application of a model: what pictures get, and what is refused before it costs anything."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import httpx
import numpy as np
import photos
import pytest

import fastcnn
from fastcnn.data import Decoder
from fastcnn.layers import Dense, Flatten, Rescaling
from fastcnn.serving import classifier, form
from fastcnn.serving.application import make_application
from fastcnn.serving.limits import Limits, Refusal

LIMITS = Limits(max_bytes=4000, max_pixels=5000, seconds=5.0, concurrency=2)
PICTURE = photos.encoded(photos.smooth(9, 8))


class Client:
    """Requests to an application, each by itself, from any thread."""

    def __init__(self, application, **options):
        self.transport = httpx.ASGITransport(application, **options)

    def send(self, method, path, **content):
        async def sent():
            async with httpx.AsyncClient(transport=self.transport, base_url="http://a") as client:
                return await client.request(method, path, **content)

        return asyncio.run(sent())

    def get(self, path):
        return self.send("GET", path)

    def post(self, **content):
        return self.send("POST", "/predict", **content)


def network(activation="softmax"):
    layers = [Rescaling(1 / 255), Flatten(), Dense(3, activation=activation)]
    model = fastcnn.Sequential(layers, input_shape=(6, 5, 3), seed=3, name="insects")
    model.decoder = Decoder(6, 5, resize="crop")
    return model


@pytest.fixture(scope="module")
def model():
    network_of_insects = network()
    network_of_insects.class_names = ["ant", "<b>bee</b>", "cat"]
    return network_of_insects


@pytest.fixture(scope="module")
def client(model):
    return Client(make_application(model, LIMITS, top=2))


@pytest.mark.parametrize("kind", [*photos.FORMATS])
def test_a_picture_gets_what_predict_says(client, model, tmp_path, kind):
    content = photos.encoded(photos.smooth(9, 8), kind)
    file = photos.write(tmp_path / "picture", content)
    ((first, second),) = fastcnn.decode_predictions(model.predict(file), model, top=2)
    answer = client.post(content=content)
    assert answer.status_code == 200
    report = answer.json()
    assert report.keys() == {"classes", "milliseconds"} and report["milliseconds"] > 0
    assert report["classes"] == [
        {**row._asdict(), "probability": pytest.approx(row.probability, rel=1e-5)}
        for row in (first, second)
    ]
    of_form = client.post(data={"note": "x"}, files={"image": ("a.png", content)})
    assert of_form.json()["classes"] == report["classes"]


def test_a_regression_gets_its_values():
    model = network(None)
    model.compile("sgd", "mse")
    client = Client(make_application(model, LIMITS, scale=0.5))
    values = client.post(content=PICTURE).json()["values"]
    pixels = model.decoder.decode_bytes(PICTURE, "")[None].astype(np.float32)
    np.testing.assert_allclose([values], model.predict(pixels / 2), rtol=1e-5)
    assert client.get("/model").json()["class_names"] is None


def test_a_model_that_diverged_or_fails_is_told_in_a_sentence(monkeypatch):
    model = network(None)
    application = make_application(model, LIMITS)
    client = Client(application, raise_app_exceptions=False)
    model.set_weights([np.full_like(values, 3e38) for values in model.get_weights()])
    answer = client.post(content=PICTURE)
    assert answer.status_code == 500 and "must be finite numbers" in answer.json()["error"]
    monkeypatch.setattr(classifier, "as_plain_data", lambda *_: 1 / 0)
    answer = client.post(content=PICTURE)
    assert answer.status_code == 500 and "its log says why" in answer.json()["error"]


async def chunked(size):
    for _ in range(size // 500):
        yield bytes(500)


async def slow():
    yield PICTURE[:10]
    await asyncio.sleep(0.4)
    yield PICTURE[10:]


PART = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
FORM = {"content-type": "multipart/form-data; boundary=x"}
WIDE = photos.encoded(np.zeros((80, 80, 3), np.uint8))
REFUSED = [
    (bytes(4001), {}, 413, "at most 4,000 bytes"),
    (chunked(5000), {}, 413, "at most 4,000 bytes"),
    (b"", {}, 415, "it is empty"),
    (b"hello", {}, 415, "it is text"),
    (bytes(range(1, 200)), {}, 415, "of no known image format"),
    (photos.bomb("PNG")[:4000], {}, 422, "it has 30000 x 30000 pixels, and at most 5,000"),
    (WIDE, {}, 422, "it has 80 x 80 pixels"),
    (PICTURE[:60], {}, 422, "cut short"),
    (20 * PART.encode(), FORM, 422, "at most 8 parts"),
    (PART[:-2].encode() + b"\r\n--x--\r\n", FORM, 422, "must hold a file"),
    (b"no form", FORM, 422, "multipart/form-data. It is not"),
]


@pytest.mark.parametrize(("content", "headers", "status", "words"), REFUSED)
def test_what_is_no_picture_is_refused_in_a_sentence(client, content, headers, status, words):
    answer = client.post(content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert words in answer.json()["error"]
    assert client.post(content=PICTURE).status_code == 200


def test_what_is_too_much_is_refused_and_what_takes_too_long_ends(model, monkeypatch):
    """Two places: the third picture is refused, the others end in time, and then there is room."""
    limits = Limits(seconds=0.3, concurrency=2)
    begun, free = threading.Event(), threading.Event()
    client = Client(make_application(model, limits))
    decode = Decoder.decode_bytes

    def wait(*arguments):
        begun.set()
        assert free.wait(20)
        return decode(*arguments)

    monkeypatch.setattr(Decoder, "decode_bytes", wait)
    answers = []
    post = lambda: answers.append(client.post(content=PICTURE))  # noqa: E731
    first = threading.Thread(target=post)
    first.start()
    assert begun.wait(20)
    second = threading.Thread(target=post)
    second.start()
    first.join(20)
    second.join(20)
    assert [answer.status_code for answer in answers] == [504, 504]
    assert "within 0.3 s" in answers[0].json()["error"]
    # The thread still computes the first; the second was never begun and left its place.
    assert client.post(content=PICTURE).status_code == 504
    free.set()
    monkeypatch.undo()
    assert client.post(content=PICTURE).status_code == 200


def test_a_picture_beyond_the_places_gets_503(model, monkeypatch):
    limits = Limits(seconds=20, concurrency=1)
    begun, free = threading.Event(), threading.Event()
    client = Client(make_application(model, limits))
    answer = classifier.Classifier._answer

    def wait(*arguments):
        begun.set()
        assert free.wait(20)
        return answer(*arguments)

    monkeypatch.setattr(classifier.Classifier, "_answer", wait)
    answers = []
    first = threading.Thread(target=lambda: answers.append(client.post(content=PICTURE)))
    first.start()
    assert begun.wait(20)
    refused = client.post(content=PICTURE)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    free.set()
    first.join(20)
    assert [answer.status_code for answer in answers] == [200]


def test_a_picture_that_trickles_in_is_not_waited_for(model):
    answer = Client(make_application(model, Limits(seconds=0.2))).post(content=slow())
    assert (answer.status_code, answer.json()["error"]) == (
        408,
        "The picture must arrive within 0.2 s.",
    )


def test_the_page_needs_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(
        r"""(?:src|href)=["'](?!data:)|https?://|@import|innerHTML""", answer.text
    )


def test_model_and_health(client, model):
    assert client.get("/health").json() == {"status": "ok"}
    described = client.get("/model").json()
    assert described["class_names"] == model.class_names
    assert (described["name"], described["input_shape"]) == ("insects", [6, 5, 3])
    assert (described["outputs"], described["max_bytes"]) == ("classes", 4000)
    for answer in (client.get("/nothing"), client.get("/predict")):
        assert answer.json().keys() == {"error"} and answer.status_code in (404, 405)


def test_a_model_of_maps_or_vectors_is_refused():
    with pytest.raises(ValueError, match="one score a class"):
        make_application(fastcnn.Sequential([Rescaling(1)], input_shape=(4, 4, 1)))
    with pytest.raises(ValueError, match="which no image file holds"):
        make_application(fastcnn.Sequential([Dense(2)], input_shape=(7,)))


@pytest.mark.parametrize("seed", range(20))
def test_random_forms_are_refused_or_read(seed):
    random = np.random.default_rng(seed)
    whole = httpx.Request("POST", "http://a", files={"image": ("a.png", PICTURE)})
    body = bytearray(whole.read())
    boundary = form.boundary_of(whole.headers["content-type"])
    assert form.picture_in(bytes(body), boundary) == PICTURE
    for place in random.integers(0, len(body), 8):
        body[place] = random.integers(256)
    try:
        form.picture_in(bytes(body[: random.integers(len(body))]), boundary)
    except Refusal as refusal:
        assert refusal.status == 422


def test_nothing_is_written_to_disk(client, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    many = photos.encoded(photos.colours(30, 30))
    files = {"image": ("a.png", many)}
    assert client.post(files=files).status_code == 200
    assert list(Path(tmp_path).iterdir()) == []
