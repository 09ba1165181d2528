"""What mkdocs calls while it builds the site: pages that are not in docs/, and links that lead out of it."""

from typing import Final

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.documentation import reference
from tools.documentation.links import PAGES, ROOT, files_linked, place_of, relinked, spaced
from tools.openapi import document

REFERENCE: Final = "reference"
NOTEBOOKS: Final = "docs/notebooks"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the reference, the notebooks, and what pages link to outside of docs/."""
    for name, text in reference.pages(document()).items():
        files.append(File.generated(config, f"{REFERENCE}/{name}", content=text))
    for script in sorted((ROOT / NOTEBOOKS).glob("*.py")):
        if (copied := files.get_file_from_path(f"notebooks/{script.name}")) is not None:
            files.remove(copied)
        text = jupytext.writes(jupytext.read(script, fmt="py:percent"), fmt="md")
        files.append(File.generated(config, place_of(f"{NOTEBOOKS}/{script.name}"), content=text))
    outside = [path for path in PAGES if (ROOT / path).is_file()]
    written = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages() if file.abs_src_path}
    for path, text in (*written.items(), *((path, (ROOT / path).read_text()) for path in outside)):
        outside += [target for target in files_linked(text, path) if target not in outside]
    for path in outside:
        files.append(File.generated(config, place_of(path), content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 (mkdocs names them)
    """Links that work on the site, and lists that Python-Markdown sees."""
    if page.file.src_uri.startswith(f"{REFERENCE}/"):
        return markdown
    return spaced(relinked(markdown, _repository_path(page.file.src_uri)))


def _repository_path(source: str) -> str:
    """Where a page's text stands in the repository."""
    return {place_of(path): path for path in PAGES}.get(source, f"docs/{source}")
