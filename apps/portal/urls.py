"""Addresses of this door."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from apps.portal.access import robots, switch
from apps.portal.account import account
from apps.portal.campaigns import campaigns
from apps.portal.claims import claim, claims, new_claim, upload_claims, withdraw
from apps.portal.conversions import conversion, conversions
from apps.portal.evidence import attach, evidence
from apps.portal.links import links
from apps.portal.overview import overview
from apps.portal.payouts import invoice_pdf, payouts, statement


class Favicon(RedirectView):
    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        return static("app/logo.svg")


app_name = "portal"
urlpatterns = [
    path("", overview, name="overview"),
    path("links/", links, name="links"),
    path("conversions/", conversions, name="conversions"),
    path("conversions/<uuid:conversion_id>/", conversion, name="conversion"),
    path("claims/", claims, name="claims"),
    path("claims/new/", new_claim, name="claim_new"),
    path("claims/upload/", upload_claims, name="claim_upload"),
    path("claims/<int:claim_id>/", claim, name="claim"),
    path("claims/<int:claim_id>/withdraw/", withdraw, name="claim_withdraw"),
    path("claims/<int:claim_id>/files/", attach, name="claim_attach"),
    path("claims/<int:claim_id>/files/<int:evidence_id>/", evidence, name="claim_evidence"),
    path("payouts/", payouts, name="payouts"),
    path("statements/<int:statement_id>/", statement, name="statement"),
    path("invoices/<int:invoice_id>/pdf", invoice_pdf, name="invoice_pdf"),
    path("campaigns/", campaigns, name="campaigns"),
    path("account/", account, name="account"),
    path("switch/", switch, name="switch"),
    path("robots.txt", robots, name="robots"),
    path("favicon.ico", Favicon.as_view(), name="favicon"),
]
