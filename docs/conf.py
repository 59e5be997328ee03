"""How Sphinx builds the documentation."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

project = "flask_webpubsub"
author = "the flask_webpubsub authors"
copyright = f"2026 {author}"
release = version = installed_version("flask-webpubsub")

extensions = ["sphinx.ext.autodoc", "pallets_sphinx_themes"]
exclude_patterns = ["_build"]

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Connection": "str | Sequence[str] | None"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
toc_object_entries_show_parents = "hide"

# A link to a name of ours that does not exist is a warning. There is no inventory of other projects to link to.
nitpicky = True
# Some types of ours are only ever seen in signatures.
nitpick_ignore_regex = [
    ("py:.*", r"(flask|werkzeug|marshmallow|collections|datetime|typing|enum)\b.*|Flask|Namespace|WSGIApplication"),
    ("py:.*", r"azure\b.*|Action|SchemaLike|~P"),
    ("py:.*", r".*\.(EventDecorator|MessageDecorator|NotGiven)"),
]

html_theme = "flask"
html_theme_options = {"index_sidebar_logo": False}
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_sidebars = {
    "index": ["localtoc.html", "searchbox.html"],
    "**": ["localtoc.html", "relations.html", "searchbox.html"],
}
html_show_sourcelink = False
html_show_copyright = False


def read_markdown(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """Give the changelog the form that Sphinx reads: it is Markdown, which code hosts show as it is."""
    if path.suffix == ".md":
        text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", content[0])
        content[0] = re.sub(r"^(#+) (.+)$", _underline, text, flags=re.MULTILINE)


def _underline(heading: re.Match[str]) -> str:
    title = heading[2]
    return f"{title}\n{'=-~'[len(heading[1]) - 1] * len(title)}"


def hide_factories(
    app: Sphinx, kind: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show a default that is made anew each time as an ellipsis."""
    return signature and signature.replace("<factory>", "..."), returns


def name_types(app: Sphinx, kind: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Say a type that Sphinx would take for a class of the test client, which has the same name."""
    if name == "flask_webpubsub.Hub":
        lines.insert(lines.index("") + 1, f":type connection: {autodoc_type_aliases['Connection']}")


def setup(app: Sphinx) -> None:
    app.connect("include-read", read_markdown)
    app.connect("autodoc-process-signature", hide_factories)
    app.connect("autodoc-process-docstring", name_types)
