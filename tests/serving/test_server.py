"""`fastcnn serve` as a process: it answers, closes what only waits, and ends when it is told to."""

from __future__ import annotations

import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import photos
import pytest

import fastcnn
from fastcnn.cli import main
from fastcnn.layers import Dense, Flatten, Rescaling

PICTURE = photos.encoded(photos.smooth(9, 8))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    layers = [Rescaling(1 / 255), Flatten(), Dense(3, activation="softmax")]
    network = fastcnn.Sequential(layers, input_shape=(6, 5, 3), seed=3)
    network.class_names = ["ant", "bee", "cat"]
    path = tmp_path_factory.mktemp("serving") / "net.h5"
    network.save(path)
    return str(path)


@contextmanager
def serving(model, *options):
    """The process and its port."""
    command = [sys.executable, "-m", "fastcnn", "serve", model, "--port", "0", "--json", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]
            assert url.startswith("http://127.0.0.1:")
            yield process, int(url.rpartition(":")[2])
        finally:
            process.kill()


def posted(port, body, **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/predict", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_process_answers_many_and_ends_by_sigterm(model):
    with serving(model, "--timeout", "1", "--max-bytes", "100000") as (process, port):
        status, report = posted(port, PICTURE)
        assert (status, len(report["classes"])) == (200, 3)
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        statuses = []
        threads = [
            threading.Thread(target=lambda: statuses.append(posted(port, PICTURE)[0]))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert statuses == [200] * 12
        assert posted(port, iter([bytes(50_000)] * 3))[0] == 413
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        assert posted(port, PICTURE, **form)[0] == 422
        waiting.settimeout(30)
        assert waiting.recv(1) == b""
        waiting.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_ctrl_c_ends_a_process_that_answers_first(model):
    with serving(model) as (process, port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.putrequest("POST", "/predict")
            connection.putheader("Content-Length", str(len(PICTURE)))
            connection.endheaders(PICTURE[:20])
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            connection.send(PICTURE[20:])
            assert connection.getresponse().status == 200
        assert process.wait(30) == 130
        assert process.stderr.read() == "fastcnn serve: interrupted.\n"


def test_what_cannot_be_served_is_said(model, capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert main(["serve", model, "--port", port]) == 2
        reason = os.strerror(errno.EADDRINUSE)
        expected = f"--host 127.0.0.1 --port {port}: no server can be there: {reason}"
        assert expected in capsys.readouterr().err
        monkeypatch.delitem(sys.modules, "fastcnn.serving.server")
        monkeypatch.delattr(fastcnn.serving, "server")
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        assert main(["serve", model, "--port", port]) == 2
        assert "pip install 'fastcnn[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port", "--timeout", "--max-bytes", "--topk"])
def test_numbers_that_cannot_be_are_refused(model, capsys, option):
    value = "65536" if option == "--port" else "0"
    with pytest.raises(SystemExit) as ended:
        main(["serve", model, option, value])
    assert ended.value.code == 2 and option in capsys.readouterr().err
