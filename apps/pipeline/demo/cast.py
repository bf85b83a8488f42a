"""Who plays in the demo."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "demo-tributary"


@dataclass(frozen=True, slots=True)
class Player:
    """A partner of the demo. `starts` and `closes` weigh how often it begins and ends a journey."""

    slug: str
    name: str
    kind: str
    website: str
    category: str
    starts: int
    closes: int
    country: str = "DE"
    language: str = "en"
    tax_status: str = "BUSINESS"
    legal_name: str = ""
    address: str = "Hauptstraße 12"
    postcode: str = "80331"
    city: str = "München"
    vat_id: str = ""
    tax_number: str = ""
    iban: str = "DE89370400440532013000"
    agreed: bool = True
    email: str = ""


PLAYERS = (
    Player(
        "wanderblog", "Wander Blog", "CONTENT", "https://wanderblog.example/", "editorial", 34, 10,
        legal_name="Wander Blog Verlag GmbH", vat_id="DE129273398", email="hello@wanderblog.example",
    ),
    Player(
        "preisadler", "Preisadler", "COMPARISON", "https://preisadler.example/", "price-comparison", 24, 22,
        legal_name="Preisadler AG", address="Königsallee 60", postcode="40212", city="Düsseldorf",
        vat_id="DE136695976", email="partner@preisadler.example",
    ),
    Player(
        "codefuchs", "Codefuchs", "COUPON", "https://codefuchs.example/", "coupons", 4, 30,
        legal_name="Codefuchs Gutscheine GmbH", address="Torstraße 140", postcode="10119", city="Berlin",
        vat_id="DE811193231", email="team@codefuchs.example",
    ),
    Player(
        "centzurueck", "Cent Zurück", "CASHBACK", "https://centzurueck.example/", "cashback", 3, 22,
        legal_name="Cent Zurück UG", address="Brühl 3", postcode="04109", city="Leipzig",
        tax_status="SMALL_BUSINESS", tax_number="231/123/45678", email="konto@centzurueck.example",
    ),
    Player(
        "lamontagne", "La Montagne", "CONTENT", "https://lamontagne.example/", "editorial", 16, 8,
        country="FR", language="en", legal_name="La Montagne SARL", address="12 rue des Alpes", postcode="38000",
        city="Grenoble", vat_id="FR40303265045", iban="FR1420041010050500013M02606", email="bonjour@lamontagne.example",
    ),
    Player(
        "ninaontrail", "Nina on Trail", "CREATOR", "https://video.example/nina", "video", 16, 5,
        tax_status="PRIVATE", legal_name="Nina Berger", address="Lindenweg 4", postcode="79098", city="Freiburg",
        email="nina@ninaontrail.example",
    ),
    Player(
        "sommetshop", "Sommet Deals", "COMPARISON", "https://sommet.example/", "price-comparison", 3, 3,
        country="FR", language="en", legal_name="Sommet Deals SAS", address="8 quai du Rhône", postcode="69002",
        city="Lyon", iban="FR1420041010050500013M02606", email="equipe@sommet.example",
    ),
)  # fmt: skip
APPLICANTS = (
    ("gipfelradio", "Gipfelradio", "CONTENT", "https://gipfelradio.example/"),
    ("rabattrakete", "Rabattrakete", "COUPON", "https://rabattrakete.example/"),
)
NEWSLETTER = "aurora-letter"
NEWSLETTER_PARTNERS = ("wanderblog", "ninaontrail", "lamontagne")
OWN_CHANNELS = (("sea-brand", "PAID"), ("newsletter", "OWNED"), ("direct", "EARNED"))
PRODUCTS = (
    ("BOOT-41", "Trail boots", "FOOTWEAR", 139_95),
    ("TENT-2P", "Two-person tent", "CAMPING", 249_00),
    ("JKT-3L", "Rain jacket", "CLOTHING", 189_00),
    ("SOCK-3", "Merino socks, three pairs", "CLOTHING", 34_90),
    ("STOVE", "Gas stove", "CAMPING", 59_95),
    ("BAG-30", "Day pack 30 l", "PACKS", 99_00),
    ("MAP-ALP", "Map of the Alps", "SALE", 14_95),
    ("LAMP", "Head lamp", "SALE", 29_95),
)
