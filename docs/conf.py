"""How Sphinx builds the documentation."""

from importlib.metadata import version as installed_version

project = "flask_webpubsub"
author = "the flask_webpubsub authors"
copyright = f"2026 {author}"
release = version = installed_version("flask-webpubsub")

extensions = ["sphinx.ext.autodoc", "pallets_sphinx_themes"]
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"

html_theme = "flask"
html_title = f"{project} {release}"
html_show_sourcelink = False
html_show_copyright = False
