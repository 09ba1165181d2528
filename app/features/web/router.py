"""The pages and what they load. None of it is in the OpenAPI document: programs call the API."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.exceptions import HTTPException
from starlette.responses import Response

from app.features.web import static_files
from app.features.web.pages import MISSING, PAGES, Page, render

router = APIRouter(include_in_schema=False)


def _shown(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        return render(request, page)

    return show


for each in PAGES:
    router.add_api_route(each.path, _shown(each), methods=["GET"], name=f"page_{each.name}")


@router.get(MISSING.path)
async def page_missing(request: Request) -> Response:
    """There is no such page, said on one."""
    return render(request, MISSING, HTTPStatus.NOT_FOUND)


@router.get(f"{static_files.PATH}/{{name:path}}")
async def static_file(request: Request, name: Annotated[str, Path(max_length=200)]) -> Response:
    """A script, a style sheet, the words of a language, or Plotly."""
    return await asyncio.to_thread(_static_answer, request, name)  # Plotly is read and zipped by whoever comes first


def _static_answer(request: Request, name: str) -> Response:
    found = static_files.find_file(name)
    if found is None:
        raise HTTPException(404)
    file, is_current = found
    return static_files.answer(request, file, is_current=is_current)
