"""/docs and /redoc from our own host: no page of ours makes a browser ask anybody else."""

from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

# fastapi-offline carries the files. Its own pages start Swagger UI by an inline script, which a strict
# Content-Security-Policy forbids, so the pages are ours.
FILES: Final = Path(fastapi_offline.__file__).parent / "static"
FILES_PATH = "/docs/files"
POLICY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # both viewers write style elements while they run
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src blob:",  # Redoc's search
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{files}/favicon.png">
{style}
</head>
<body>
<div id="viewer"></div>
<script src="{files}/{viewer}"></script>
<script src="{start}"></script>
</body>
</html>
"""
START_SWAGGER = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""
START_REDOC = """Redoc.init("/openapi.json", {hideDownloadButton: false}, document.getElementById("viewer"));
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def swagger() -> Response:
    """The document to read and to try out."""
    style = f'<link rel="stylesheet" href="{FILES_PATH}/swagger-ui.css">'
    page = PAGE.format(
        title="Closecast", files=FILES_PATH, style=style, viewer="swagger-ui-bundle.js", start="/docs/start.js"
    )
    return HTMLResponse(page, headers=POLICY)


@router.get("/docs/start.js")
async def start_swagger() -> Response:
    """A file of its own, since scripts inside the page are forbidden."""
    return Response(START_SWAGGER, media_type="text/javascript")


@router.get("/redoc")
async def redoc() -> Response:
    """The document to read."""
    page = PAGE.format(
        title="Closecast", files=FILES_PATH, style="", viewer="redoc.standalone.js", start="/redoc/start.js"
    )
    return HTMLResponse(page, headers=POLICY)


@router.get("/redoc/start.js")
async def start_redoc() -> Response:
    """A file of its own, since scripts inside the page are forbidden."""
    return Response(START_REDOC, media_type="text/javascript")


def install_docs(app: FastAPI) -> None:
    """Add the pages and the files that they load."""
    app.include_router(router)
    app.mount(FILES_PATH, StaticFiles(directory=FILES), name="docs-files")
