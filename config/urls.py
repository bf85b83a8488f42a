"""Which door answers which address."""

from django.urls import include, path

from apps.api.health import health

urlpatterns = [
    path("admin/", include("apps.console.urls")),
    path("api/", include("apps.api.urls")),
    path("health/", health, name="health"),
    path("accounts/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("apps.portal.urls")),
]

handler404 = "apps.api.errors.not_found"
