"""The one settings file: everything that differs between installations comes from the environment (D3).

Without an environment it is safe: no debug, secure cookies, no host allowed. `./dev` sets what a
development machine needs; an operator sets DATABASE_URL, REDIS_URL, SECRET_KEY, ALLOWED_HOSTS,
PUBLIC_URL and TRACKING_URL.
"""

from pathlib import Path

import environ
import pghistory
from django.utils.translation import gettext_lazy as _

from apps.console.unfold import UNFOLD as UNFOLD
from config.logs import configure_logs
from config.servers import redis_addresses

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- what kind of process this is -------------------------------------------------------------
ENVIRONMENT = env.str("TRIBUTARY_ENV", default="production")  # production | demo | test
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Customers, e-mails and devices are stored as hashes by the first of these; by the others until they are seen again.
IDENTITY_SECRETS = env.list("IDENTITY_SECRETS", default=[SECRET_KEY, *SECRET_KEY_FALLBACKS])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
TRACKING_URL = env.str("TRACKING_URL", default="http://localhost:8001").rstrip("/")
HTTPS = env.bool("HTTPS", default=ENVIRONMENT == "production")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

# --- rooms and libraries ------------------------------------------------------------------------
ROOMS = [
    "core",
    "identity",
    "records",
    "partners",
    "campaigns",
    "ledger",
    "tracking",
    "journeys",
    "attribution",
    "commissions",
    "claims",
    "statements",
    "invoices",
    "payouts",
    "insights",
    "exports",
    "messages",
    "imports",
    "pipeline",
    "collector",
    "api",
    "console",
    "portal",
]
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_celery_beat",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "django_tables2",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "import_export",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "rest_framework_api_key",
    *(f"apps.{room}" for room in ROOMS),
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "apps.core.transfers.limit_requests",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- servers --------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    CONN_MAX_AGE=env.int("CONN_MAX_AGE", default=60),
    CONN_HEALTH_CHECKS=True,
)
# A request never waits for a lock or a query without end; jobs raise both for their own transaction. Nor does anybody
# wait for a server that is gone without a word; the address may say otherwise. Triggers of rows ask `pgtrigger.ignore`:
# where it is not set, each row is a failed sub-transaction, which takes the longer the larger the transaction is.
DATABASES["default"]["OPTIONS"] = {
    **{"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3},
    **DATABASES["default"].get("OPTIONS", {}),
    "options": "-c lock_timeout=10s -c statement_timeout=120s -c pgtrigger.ignore={}",
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS = redis_addresses(env.str("REDIS_URL"))
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS.cache}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"

CELERY_BROKER_URL = REDIS.broker
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 4 * 3600}
CELERY_TASK_DEFAULT_QUEUE = "settle"
CELERY_TASK_ROUTES = {
    "apps.pipeline.tasks.settle*": {"queue": "settle"},
    "apps.pipeline.tasks.bill*": {"queue": "billing"},
    "apps.pipeline.tasks.send*": {"queue": "messages"},
    "apps.pipeline.tasks.keep*": {"queue": "insights"},
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "settle-sweep": {"task": "apps.pipeline.tasks.settle_unsettled", "schedule": 30.0},
    "approve-matured": {"task": "apps.pipeline.tasks.settle_approve_matured", "schedule": 900.0},
    "decide-sweep": {"task": "apps.pipeline.tasks.settle_decide", "schedule": 30.0},
    "answer-claims": {"task": "apps.pipeline.tasks.settle_answer_claims", "schedule": 3600.0},
    "bill-documents": {"task": "apps.pipeline.tasks.bill_render_documents", "schedule": 120.0},
    "bill-reconcile": {"task": "apps.pipeline.tasks.bill_reconcile_books", "schedule": 3600.0},
    "send-messages": {"task": "apps.pipeline.tasks.send_messages", "schedule": 30.0},
    "keep-evidence": {"task": "apps.pipeline.tasks.keep_evidence", "schedule": 24 * 3600.0},
    "keep-messages": {"task": "apps.pipeline.tasks.keep_messages", "schedule": 24 * 3600.0},
    "keep-partitions": {"task": "apps.pipeline.tasks.keep_partitions", "schedule": 6 * 3600.0},
    "keep-rejected": {"task": "apps.pipeline.tasks.keep_rejected", "schedule": 3600.0},
}
if ENVIRONMENT == "demo":
    CELERY_BEAT_SCHEDULE["keep-demo-alive"] = {"task": "apps.pipeline.tasks.keep_demo_alive", "schedule": 45.0}

# --- people ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_ADAPTER = "apps.identity.adapters.AccountAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Tributary"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
EMAIL_BACKEND = env.str(
    "EMAIL_BACKEND",
    default="django.core.mail.backends.smtp.EmailBackend"
    if ENVIRONMENT == "production"
    else "django.core.mail.backends.console.EmailBackend",
)
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=20)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Tributary <no-reply@localhost>")

# --- browser safety -------------------------------------------------------------------------------
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = HTTPS and env.bool("SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 63_072_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024  # a list of 40,000 decisions
REQUEST_MAX_BYTES = 32 * 1024 * 1024  # five files of 5 MB and their form
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
STRICT_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
CONTENT_SECURITY_POLICY = {"DIRECTIVES": STRICT_CSP}
# Unfold evaluates Alpine expressions and styles inline; only its own pages may (config.urls).
CONSOLE_CSP = {
    **STRICT_CSP,
    "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}

# --- languages, times, files ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German")), ("ru", _("Russian"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=BASE_DIR / "staticfiles")
STATICFILES_DIRS = [
    ("app", BASE_DIR / "static" / "app"),
    ("console", BASE_DIR / "static" / "console"),
    ("vendor", BASE_DIR / "static" / "vendor"),
]
WHITENOISE_USE_FINDERS = ENVIRONMENT != "production"
WHITENOISE_AUTOREFRESH = ENVIRONMENT != "production"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if ENVIRONMENT == "production"
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- API ----------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.api.access.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.api.access.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["apps.api.filtering.KnownFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "apps.api.paging.KeysetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "apps.api.schema.CodedSchema",
    "EXCEPTION_HANDLER": "apps.api.errors.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tributary API",
    "DESCRIPTION": "Conversions in, receipts out. Every refusal has a stable code.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "ENUM_NAME_OVERRIDES": {"AnyReasonEnum": "apps.api.v1.decisions.REASONS"},
}

# --- history, logs ------------------------------------------------------------------------------------
PGHISTORY_APPEND_ONLY = True
PGHISTORY_DEFAULT_TRACKERS = (pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
LOGGING = configure_logs(
    level=env.str("LOG_LEVEL", default="INFO" if ENVIRONMENT != "test" else "WARNING"),
    as_json=ENVIRONMENT == "production",
)
