"""`fastcnn serve`: a model that answers for pictures over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import json
import socket
from contextlib import suppress

from fastcnn.cli.options import device
from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve import model as models
from fastcnn.utils import messages


def run(args: argparse.Namespace) -> int:
    """Answer for pictures until Ctrl-C or SIGTERM."""
    try:
        from fastcnn.serving import application, server
    except ImportError as error:
        raise UsageError(
            "Serving needs the packages Starlette, uvicorn and python-multipart: "
            f"pip install 'fastcnn[serve]' installs them ({error})."
        ) from error
    from fastcnn.serving.limits import Limits

    model = device.moved(models.with_weights(args.model, args.weights), args)
    limits = Limits(args.max_bytes, args.max_pixels, args.timeout, args.concurrency)
    with _listener(args.host, args.port) as listener:
        app = application.make_application(model, limits, args.top, args.scale)
        if args.scale == 1.0:
            models.note_unscaled(model)
        if not _is_loopback(args.host):
            messages.say(
                f"Note: whoever reaches {args.host} can send pictures: there is neither password "
                "nor encryption."
            )
        host = f"[{args.host}]" if ":" in args.host else args.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        words = f"Serving {args.model} at {url}; Ctrl-C ends."
        print(json.dumps({"url": url}) if args.json else words, flush=True)
        server.run(app, listener, limits)
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens; UsageError where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"--host {host} --port {port}: no server can be there: {reason}."
        ) from error


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
