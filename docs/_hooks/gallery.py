"""MkDocs hook: live pages, made while the site is built, so that nobody needs to install anything to try one.

`extra.gallery` in mkdocs.yml says which: `all`, or names of exhibits with commas between them. A comment
`<!-- live: readme -->` on any page becomes that exhibit in a frame, and `<!-- gallery -->` becomes all of them.
"""

from __future__ import annotations

import html
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from exhibits import EXHIBITS, Exhibit
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from rfwidget.errors import ReceptiveFieldError
from rfwidget.widget.words import TERMS

FOLDER = "gallery"
"""Of the pages, in the site."""

LIMIT = 20_000_000
"""Bytes of all pages together, with the files that they share."""


class Gallery(NamedTuple):
    """What has been made.

    Attributes:
        files: contents by name: the pages, and the script and the style that they share.
        measured: of each exhibit, the layer shown first and what has been measured of it.
    """

    files: dict[str, bytes]
    measured: dict[str, str]


def pages_of(exhibit: Exhibit) -> dict[str, str]:
    """The pages of an exhibit: titles by names of files."""
    first, *others = exhibit.pages
    names = [exhibit.name, *(f"{exhibit.name}-{words.split()[-1]}" for words in others)]
    titles = [f"{exhibit.title}: {words}" if words else exhibit.title for words in (first, *others)]
    return {f"{name}.html": title for name, title in zip(names, titles, strict=True)}


def make(exhibit: Exhibit, folder: Path) -> str:
    """Write the pages of an exhibit into a folder.

    Returns:
        What has been measured, in Markdown.

    Raises:
        PluginError: if a page would be larger than it may be.
    """
    widget = exhibit.make()
    for (name, title), traits in zip(pages_of(exhibit).items(), exhibit.pages.values(), strict=True):
        for trait, value in traits.items():
            setattr(widget, trait, value)
        if not widget.wait(600, background=True):
            raise PluginError(f"{name}: nothing has been measured within ten minutes")
        wording = {"title": title, "note": exhibit.weights}
        try:
            widget.to_html(
                folder / name,
                exhibit.layers or None,
                exhibit.cells,
                max_bytes=exhibit.limit,
                progress=False,
                inline=False,
                **wording,
            )
        except ReceptiveFieldError as error:
            raise PluginError(f"{name} of the gallery cannot be made: {error}") from error
    field = widget.rf_params
    said = f"`{widget.rf.output_layer}`: size {_by(field.size)}, stride {_by(field.stride)}, offset {_by(field.offset)}"
    widget.close()
    return f"{said} {TERMS[len(field.size)].element}s"


def _by(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


@cache
def gallery(names: tuple[str, ...]) -> Gallery:
    """Make exhibits; once for each process, for `mkdocs serve` builds again and again."""
    with tempfile.TemporaryDirectory() as folder:
        measured = {name: make(EXHIBITS[name], Path(folder)) for name in names}
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    check_size(files)
    return Gallery(files, measured)


def check_size(files: dict[str, bytes]) -> None:
    """Refuse more than a site should carry.

    Raises:
        PluginError: says how large each file is.
    """
    total = sum(map(len, files.values()))
    if total > LIMIT:
        sizes = ", ".join(f"{name} {size(len(content))}" for name, content in files.items())
        raise PluginError(f"the gallery has {size(total)}, more than {size(LIMIT)}: {sizes}")


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def wanted(config: MkDocsConfig) -> tuple[str, ...]:
    """Names of the exhibits to make.

    Raises:
        PluginError: there is none of such a name.
    """
    asked = str(config.extra["gallery"])
    names = tuple(EXHIBITS) if asked == "all" else tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in EXHIBITS:
            raise PluginError(f"extra.gallery names {name!r}; there are {', '.join(EXHIBITS)}, and all")
    return names


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, content in gallery(wanted(config)).files.items():
        files.append(File.generated(config, f"{FOLDER}/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Put exhibits where a page asks for them."""
    made = gallery(wanted(config))

    def live(found: re.Match[str]) -> str:
        name = found[1]
        if name not in EXHIBITS:
            raise PluginError(f"{page.file.src_uri} asks for {name!r}; there are {', '.join(EXHIBITS)}")
        return frame(EXHIBITS[name], made, page) if name in made.measured else ""

    whole = "\n\n".join(section(EXHIBITS[name], made, page) for name in made.measured)
    markdown = markdown.replace("<!-- gallery -->", f"{whole}\n\n{summary(made)}")
    return re.sub(r"<!-- live: ([\w-]+) -->", live, markdown)


def frame(exhibit: Exhibit, made: Gallery, page: Page) -> str:
    """An exhibit in a frame, with links to its pages below."""
    # Links are written out, for MkDocs would look for a Markdown file behind each address.
    links = [
        (get_relative_url(f"{FOLDER}/{name}", page.url), words, size(len(made.files[name])))
        for name, words in zip(pages_of(exhibit), exhibit.pages, strict=True)
    ]
    first, _, large = links[0]
    alone = f'<a href="{first}" target="_blank">Open it alone</a> ({large})'
    switches = ", ".join(
        f'<a href="{to}" target="{exhibit.name}">{words}</a> ({of})' for to, words, of in links if words
    )
    return (
        f'<iframe class="rfwidget-live" name="{exhibit.name}" src="{first}" '
        f'title="{html.escape(exhibit.title)}, live" loading="lazy" allowfullscreen></iframe>\n\n'
        f"{f'In the frame: {switches}. ' if switches else ''}{alone}."
    )


def section(exhibit: Exhibit, made: Gallery, page: Page) -> str:
    """An exhibit with all that is said of it."""
    code = "\n".join(f"    {line}".rstrip() for line in f"```python\n{exhibit.code}\n```".splitlines())
    return (
        f"## {exhibit.title}\n\n{exhibit.text}\n\n{frame(exhibit, made, page)}\n\n"
        f'{made.measured[exhibit.name]}. {exhibit.weights}\n\n??? note "The Python that made it"\n\n{code}'
    )


def summary(made: Gallery) -> str:
    """How large everything is."""
    shared = sum(len(content) for name, content in made.files.items() if not name.endswith(".html"))
    total = sum(map(len, made.files.values()))
    rows = [
        f"| {title} | {size(len(made.files[name]))} | {size(exhibit.limit)} |"
        for exhibit in map(EXHIBITS.__getitem__, made.measured)
        for name, title in pages_of(exhibit).items()
    ]
    head = "| page | size | at most |\n| --- | --- | --- |"
    ends = f"| script and style, which all share | {size(shared)} | |\n| together | {size(total)} | {size(LIMIT)} |"
    return "\n".join(["## How large they are", "", head, *rows, ends])
