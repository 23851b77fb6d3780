"""MkDocs hook: the saved notebooks as pages of the site, with the outputs they were saved with. Nothing is executed."""

from __future__ import annotations

from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page and its pictures for each notebook."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        settings = {"output_files_dir": path.stem, "unique_key": "output"}
        text, resources = MarkdownExporter().from_notebook_node(notebook, settings)
        page = (
            text.replace(".ipynb)", ".md)").replace("](../docs/", "](../")
            + f"\n---\n\nThis page is `notebooks/{path.name}` of the repository.\n"
        )
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        for name, content in resources["outputs"].items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files
