"""The settings of Sphinx, by which no page loads anything from the network."""

project = "Bellman to RLHF"
author = "The Bellman to RLHF authors"
language = "en"
html_title = "Bellman to RLHF"

extensions = ["myst_nb", "notebooks.site.extension"]
exclude_patterns: list[str] = []

# The notebooks are shown as they were saved.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # these would come from elsewhere

myst_enable_extensions = ["dollarmath", "deflist", "attrs_block"]
myst_heading_anchors = 4

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
# A summary needs other pages, which a page from the file system may not read.
html_show_search_summary = False
html_domain_indices = False
html_permalinks_icon = "#"

highlight_language = "text"  # what is Python says so; most of the rest are commands
suppress_warnings = ["ref.python"]  # two packages have a World
pygments_style = "github-light-high-contrast"
pygments_dark_style = "github-dark-high-contrast"
python_maximum_signature_line_length = 70
toc_object_entries_show_parents = "hide"
add_module_names = False

_CALM = {
    "font-stack": (
        "Charter, 'Bitstream Charter', 'Iowan Old Style', 'Source Serif 4', "
        "Cambria, Georgia, serif"
    ),
    "font-stack--headings": (
        "'Avenir Next', Avenir, 'Segoe UI', 'Helvetica Neue', 'Liberation Sans', "
        "Arial, sans-serif"
    ),
}
html_theme_options = {
    "light_css_variables": {
        **_CALM,
        "color-brand-primary": "#1f5673",
        "color-brand-content": "#1f5673",
        "color-brand-visited": "#5b4a7d",
        "color-background-primary": "#fdfcf9",
        "color-background-secondary": "#f5f2ea",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8ec5e0",
        "color-brand-content": "#8ec5e0",
        "color-brand-visited": "#c2b2e6",
        "color-background-primary": "#14181b",
        "color-background-secondary": "#1b2024",
    },
}
