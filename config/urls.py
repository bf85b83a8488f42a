"""Which door answers which address."""

from django.urls import include, path

urlpatterns = [
    path("admin/", include("apps.console.urls")),
    path("api/", include("apps.api.urls")),
    path("accounts/", include("allauth.urls")),
    path("", include("apps.portal.urls")),
]
