"""Settings: environment variables only, each parsed once, here. `.env.example` lists them all."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """One environment variable, stripped."""
    return os.environ.get(name, default).strip()


def env_flag(name: str, default: bool) -> bool:
    """A yes/no variable: 1, true, yes, on."""
    return env(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def env_list(name: str, default: str = "") -> list[str]:
    """A comma-separated variable."""
    return [part.strip() for part in env(name, default).split(",") if part.strip()]


VAR_DIR = Path(env("LOOP_VAR", str(BASE_DIR / "var"))).resolve()
ARTIFACT_ROOT = Path(env("ARTIFACT_ROOT", str(VAR_DIR / "artifacts"))).resolve()
BASE_MODEL = env("BASE_MODEL", str(BASE_DIR / "var" / "models" / "SmolLM2-135M-Instruct"))
TRAINING_PYTHON = env("TRAINING_PYTHON", sys.executable)

# DEBUG is off unless asked for. EMBEDDED says that our own supervisor runs the services on this one host.
DEBUG = env_flag("DEBUG", False)
EMBEDDED = env_flag("LOOP_EMBEDDED", not env("DATABASE_URL"))
KNOWN_SECRETS = {"changeme", "secret", "insecure", "django-insecure", "test", "dev"}


def secret_key() -> str:
    """SECRET_KEY from the environment; the embedded default keeps a random one under var/."""
    if key := env("SECRET_KEY"):
        if len(key) < 50 or any(key.lower().startswith(word) for word in KNOWN_SECRETS):
            raise ImproperlyConfigured(
                "SECRET_KEY is too short or a known word: use 50 or more random characters, for example from "
                "`python -c 'import secrets; print(secrets.token_urlsafe(64))'`"
            )
        return key
    if not EMBEDDED:
        raise ImproperlyConfigured("SECRET_KEY is not set: it is required when DATABASE_URL names a real server")
    kept = VAR_DIR / "secret_key"
    if not kept.exists():
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        fresh = VAR_DIR / f".secret_key.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(64))
        fresh.replace(kept)
    return kept.read_text()


SECRET_KEY = secret_key()
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if EMBEDDED else "")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
HTTPS = env_flag("HTTPS", not EMBEDDED)
REQUIRE_MFA = env_flag("REQUIRE_MFA", not EMBEDDED)

APPS = [
    "core",
    "people",
    "projects",
    "prompts",
    "checkpoints",
    "assignments",
    "demonstrations",
    "comparisons",
    "quality",
    "datasets",
    "runs",
    "rounds",
    "simulation",
]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "rest_framework",
    "drf_spectacular",
    *(f"labeling.{app}" for app in APPS),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "labeling.core.middleware.RequestIdMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "labeling.people.middleware.PersonLanguage",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "labeling.projects.middleware.RequireSecondFactor",
    "labeling.core.middleware.ErrorPageMiddleware",
]

ROOT_URLCONF = "labeling.urls"
WSGI_APPLICATION = "labeling.wsgi.application"
FORM_RENDERER = "labeling.core.forms.LoopFormRenderer"
CSRF_FAILURE_VIEW = "labeling.core.views.csrf_failed"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "labeling.projects.context.shell",
            ],
            "builtins": ["labeling.core.templatetags.ui", "django.templatetags.i18n"],
        },
    },
]


# Pages ask for little at a time: starting PostgreSQL's parallel workers or its compiler takes longer than the answer.
DATABASE_SESSION = {
    "statement_timeout": env("DB_STATEMENT_TIMEOUT_MS", "30000"),
    "idle_in_transaction_session_timeout": "60000",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "random_page_cost": "1.1",  # for SSDs; so the lists are read from their indexes
}


def database(url: str) -> dict[str, object]:
    """A DATABASES entry from postgresql://user:password@host:port/name?option=value."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:5432/name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            **dict(parse_qsl(parts.query)),
            "pool": {"min_size": 1, "max_size": int(env("DB_POOL_SIZE", "8")), "timeout": 10},
            "options": " ".join(f"-c {name}={value}" for name, value in DATABASE_SESSION.items()),
        },
    }


# Without services there is nothing to connect to: `manage.py up` sets both URLs for everything it starts.
DATABASE_URL = env("DATABASE_URL", "postgresql://app@127.0.0.1:1/app")
REDIS_URL = env("REDIS_URL", "redis://127.0.0.1:1/0")
DATABASES = {"default": database(DATABASE_URL)}
# In PostgreSQL, so that limits on guessing and used codes hold for all web processes and survive the loss of Redis.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "core_cache"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- people
AUTH_USER_MODEL = "people.User"
AUTHENTICATION_BACKENDS = ["labeling.people.backends.PeopleBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "labeling.people.passwords.MinimumLength", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "labeling.people.adapter.ClosedRegistration"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
MFA_ADAPTER = "labeling.people.adapter.SecondFactor"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
USERSESSIONS_TRACK_ACTIVITY = False
ALLAUTH_TRUSTED_PROXY_COUNT = int(env("TRUSTED_PROXY_COUNT", "0"))
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
EMAIL_BACKEND = env("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "loop@localhost")

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrftoken"

# ---- browser
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
STATIC_URL = "static/"
STATIC_ROOT = Path(env("STATIC_ROOT", str(VAR_DIR / "static")))
STATICFILES_DIRS: list[Path] = [BASE_DIR / "labeling" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "labeling.core.storage.HashedStatic"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
IMPORT_MAX_BYTES = 1024 * 1024 * 1024

# ---- API
REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["labeling.core.permissions.DenyAll"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.people.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "labeling.core.errors.api_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Loop",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "PromptKind": "labeling.prompts.models.Prompt.Kind",
        "CheckpointKind": "labeling.checkpoints.models.Checkpoint.Kind",
        "SnapshotKind": "labeling.datasets.models.Snapshot.Kind",
        "RunKind": "labeling.runs.models.Run.Kind",
    },
}

# ---- runs
RUN_LEASE_SECONDS = float(env("RUN_LEASE_SECONDS", "60"))
RUN_TAKEOVER_SECONDS = float(env("RUN_TAKEOVER_SECONDS", "60"))  # from the claim to the supervisor's first word
RUN_HEARTBEAT_SECONDS = float(env("RUN_HEARTBEAT_SECONDS", "10"))
RUN_FENCE_SECONDS = RUN_LEASE_SECONDS * 0.75  # without a renewal for this long a supervisor ends its own trainer
RUN_CANCEL_GRACE_SECONDS = float(env("RUN_CANCEL_GRACE_SECONDS", "30"))
RUN_START_SECONDS = float(env("RUN_START_SECONDS", "600"))  # until a trainer has opened metrics.jsonl
TORCHRUN_OPTIONS = env(
    "TORCHRUN_OPTIONS", ""
).split()  # several hosts: --nnodes 2 --rdzv-backend c10d --rdzv-endpoint …
RUN_DEVICES = env_list("RUN_DEVICES", "auto")  # one run per device named here; auto: every GPU, else cpu:0

# ---- Celery: messages are wake-ups, rows are the truth
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SOFT_TIME_LIMIT = 55
CELERY_TASK_TIME_LIMIT = 60
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 30
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "health_check_interval": 30,
    "retry_on_timeout": True,
    "global_keyprefix": env("CELERY_KEY_PREFIX"),
}
CELERY_TASK_DEFAULT_QUEUE = "default"
LONG_TASKS = (
    "prompts.import",
    "prompts.sweep",
    "quality.sample_reviews",
    "quality.sweep",
    "datasets.write",
    "datasets.sweep",
)
CELERY_TASK_ROUTES = {
    "runs.start": {"queue": "training"},
    **dict.fromkeys(LONG_TASKS, {"queue": "long"}),  # a queue of their own: leases, runs and rounds never wait for them
}
SWEEP_SECONDS = float(env("SWEEP_SECONDS", "15"))
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}}
    for name in (
        "core.seal_events",
        "core.follow_chain",
        "assignments.expire_leases",
        "quality.sample_reviews",
        "prompts.sweep",
        "quality.sweep",
        "datasets.sweep",
        "runs.sweep",
        "rounds.sweep",
    )
} | {"people.forget_ended": {"task": "people.forget_ended", "schedule": 3600, "options": {"expires": 3600}}}

SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # e-mails are unique by lower(email), which Django does not look for

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "__Host-language" if HTTPS else "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = HTTPS
LANGUAGE_COOKIE_HTTPONLY = True
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = "labeling.core.formats"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"refusals": {"()": "labeling.core.logs.WithoutTracesOfRefusals"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refusals"]}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", "INFO")},
}
