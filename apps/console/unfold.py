"""How the console looks: colors, name and what the sidebar calls. Imported by the settings, so it knows no models."""

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

BASE = {
    "50": "#f6f9fa",
    "100": "#edf2f4",
    "200": "#dce6e9",
    "300": "#c2d1d6",
    "400": "#8fa5ad",
    "500": "#566d76",
    "600": "#445a63",
    "700": "#33474f",
    "800": "#1e3139",
    "900": "#12232a",
    "950": "#0a171c",
}
PRIMARY = {
    "50": "#eefbfb",
    "100": "#d3f3f4",
    "200": "#ace7ea",
    "300": "#74d4da",
    "400": "#5cc8d1",
    "500": "#3fb3be",
    "600": "#0a6672",
    "700": "#0a5560",
    "800": "#0d454e",
    "900": "#0f3a42",
    "950": "#04242b",
}


def styles(request) -> str:
    return static("console/console.css")


def scripts(request) -> str:
    return static("console/console.js")


def icon(request) -> str:
    return static("app/logo.svg")


UNFOLD = {
    "SITE_TITLE": "Tributary",
    "SITE_HEADER": "Tributary",
    "SITE_SUBHEADER": "apps.console.navigation.subheader",
    "SITE_DROPDOWN": "apps.console.navigation.site_menu",
    "SITE_URL": None,
    "SITE_ICON": icon,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": icon}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "apps.console.navigation.environment",
    "COLORS": {
        "base": BASE,
        "primary": PRIMARY,
        "font": {
            "subtle-light": "var(--color-base-500)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-700)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "BORDER_RADIUS": "8px",
    "STYLES": [styles],
    "SCRIPTS": [scripts],
    "ACCOUNT": {"navigation": "apps.console.navigation.account"},
    "COMMAND": {"search_models": False, "search_callback": "apps.console.search.find", "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "apps.console.navigation.sidebar",
    },
}

ENVIRONMENT_LABELS = {"demo": (_("Demo"), "info"), "test": (_("Test"), "warning")}
