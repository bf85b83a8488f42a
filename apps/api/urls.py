"""Addresses of this door."""

from csp.decorators import csp_update
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from apps.api import schema  # noqa: F401  (describes the keys)
from apps.api.v1.campaigns import CampaignViewSet
from apps.api.v1.conversions import ConversionViewSet
from apps.api.v1.decisions import DecisionsView, JobViewSet
from apps.api.v1.explain import ExplainView
from apps.api.v1.invoices import InvoiceViewSet
from apps.api.v1.partners import PartnerViewSet
from apps.api.v1.refunds import RefundsView
from apps.api.v1.statements import StatementViewSet

app_name = "api"

v1 = SimpleRouter(use_regex_path=False)
v1.register("conversions", ConversionViewSet)
v1.register("jobs", JobViewSet)
v1.register("campaigns", CampaignViewSet)
v1.register("partners", PartnerViewSet)
v1.register("statements", StatementViewSet)
v1.register("invoices", InvoiceViewSet)

# The documentation's page brings one style sheet of its own within the page.
docs = csp_update({"style-src": ["'self'", "'unsafe-inline'"]})(
    SpectacularSwaggerSplitView.as_view(url_name="api:schema")
)

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", docs, name="docs"),
    path("v1/explain/", ExplainView.as_view(), name="explain"),
    path("v1/decisions/", DecisionsView.as_view(), name="decisions"),
    path("v1/refunds/", RefundsView.as_view(), name="refunds"),
    path("v1/", include(v1.urls)),
]
