"""A model as an ASGI application: pictures in, classes out, and a page to drop pictures on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fastcnn._version import __version__
from fastcnn.models.predictions import names_of, output_kind
from fastcnn.models.sequential import Sequential
from fastcnn.serving import form
from fastcnn.serving.classifier import Classifier
from fastcnn.serving.intake import Intake
from fastcnn.serving.limits import Limits, Refusal
from fastcnn.training import picture_input

LIMITS = Limits()
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_application(
    model: Sequential, limits: Limits = LIMITS, top: int = 5, scale: float = 1.0
) -> Starlette:
    """Return an application that predicts pictures, for any server of ASGI.

    Pictures are decoded as in the model's training, in memory alone. POST /predict takes one, as
    the body or in a form; GET /model, /health and the page at / say the rest.

    Args:
        model: The model, whose outputs are one score a class, or values.
        limits: What bounds the server.
        top: How many classes a picture.
        scale: What pixel values, 0 to 255, are multiplied by, of a model without Rescaling.

    Returns:
        The application; the model is compiled for predicting already.

    Raises:
        ValueError: The model takes no pictures, or its outputs are maps.
    """
    if len(model.output_shape) != 1:
        raise ValueError(
            f"The model must give one score a class. Its outputs have shape {model.output_shape}."
        )
    classifier = Classifier(model, picture_input.decoder(model), limits, top, scale)
    classifier.warm_up()
    intake = Intake(limits)
    page = resources.files("fastcnn.serving").joinpath("page.html").read_text(encoding="utf-8")

    async def predict(request: Request) -> Response:
        boundary = form.boundary_of(request.headers.get("content-type", ""))
        async with intake.body(request) as body:
            return JSONResponse(await classifier.answer(body, boundary))

    async def show_page(_: Request) -> Response:
        return HTMLResponse(page, headers=PAGE_HEADERS)

    async def show_health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def show_model(_: Request) -> Response:
        return JSONResponse(_description(model, limits))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        classifier.close()

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/predict", predict, methods=["POST"]),
            Route("/model", show_model),
            Route("/health", show_health),
        ],
        exception_handlers={Refusal: _refuse, HTTPException: _refuse, Exception: _refuse},
        lifespan=lifespan,
    )


async def _refuse(_: Request, error: Exception) -> Response:
    """The answer to what is refused, and to what fails, whose error the server's log has."""
    if isinstance(error, HTTPException):  # Starlette's, of unknown paths and methods
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    if isinstance(error, Refusal):
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        return JSONResponse({"error": str(error)}, error.status, headers)
    return JSONResponse({"error": "The server failed; its log says why."}, 500)


def _description(model: Sequential, limits: Limits) -> dict[str, object]:
    kind = output_kind(model)
    return {
        "name": model.name,
        "input_shape": list(model.input_shape),
        "outputs": kind,
        "class_names": None if kind == "values" else names_of(model),
        "max_bytes": limits.max_bytes,
        "max_pixels": limits.max_pixels,
        "fastcnn": __version__,
    }
