"""Settings of the test run: the product's own, with places and keys that belong to this test process alone.

Everything is put into the environment first, so that workers and runs which a test starts see the same.
`make test` gives DATABASE_URL and REDIS_URL; each parallel test process takes a Redis database of its own.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
REDIS_DATABASES = 15  # a plain Redis has 16; 0 is left to the application

if "TEST_ROOT" not in os.environ:
    base = os.environ.get("LOOP_VAR", "")
    TEST_ROOT = Path(base) if base else Path(tempfile.mkdtemp(prefix="loop-test-"))
    if not base:
        atexit.register(shutil.rmtree, TEST_ROOT, ignore_errors=True)
    os.environ["TEST_ROOT"] = str(TEST_ROOT)
    os.environ["LOOP_VAR"] = str(TEST_ROOT)
TEST_ROOT = Path(os.environ["TEST_ROOT"])

os.environ["LOOP_EMBEDDED"] = "1"
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789abcdef" * 4)
os.environ.setdefault("DB_POOL_SIZE", "32")
os.environ.setdefault("SWEEP_SECONDS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other crawl on a busy machine
os.environ["ARTIFACT_ROOT"] = str(TEST_ROOT / f"artifacts-{WORKER}")
os.environ["STATIC_ROOT"] = str(TEST_ROOT / "test-static")
if "REDIS_URL" in os.environ:
    number = 1 + int(WORKER.removeprefix("gw")) % REDIS_DATABASES
    os.environ["REDIS_URL"] = urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}"))

from labeling.settings import *  # noqa: E402, F403
from labeling.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
if "TEST_DATABASE" in os.environ:  # several runs beside each other on one server
    DATABASES["default"]["TEST"] = {"NAME": os.environ["TEST_DATABASE"]}
