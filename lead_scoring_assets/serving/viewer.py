"""The page /docs: Swagger UI over the OpenAPI document. All of it comes from this server: it works without a network."""

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, HTTPException, Response
from starlette.responses import FileResponse, HTMLResponse

# Of the library only its files: the page that it makes holds a script, which the policy below forbids.
_FILES = Path(fastapi_offline.__file__).with_name("static")
_SERVED = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"})
_START = "viewer.js"
# Addresses relative to the page: behind a gateway the API may stand under a prefix.
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lead scoring: the API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="viewer"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> is the document itself.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/{_START}"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


def add_viewer(app: FastAPI) -> None:
    """Answer /docs and what its page names."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name == _START:
            return Response(_SCRIPT, media_type="text/javascript")
        if name not in _SERVED:
            raise HTTPException(404)
        return FileResponse(_FILES / name)
