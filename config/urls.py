"""Which door answers which address."""

from django.urls import include, path

from apps.api.health import health

urlpatterns = [
    path("admin/", include("apps.console.urls")),
    path("api/", include("apps.api.urls")),
    path("health/", health, name="health"),
    path("accounts/", include("allauth.urls")),
    path("", include("apps.portal.urls")),
]
