"""Static files with hashed names, also inside `import` lines of ES modules."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStatic(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Whitenoise's storage plus module-import rewriting, so that no stale module is ever cached."""

    support_js_module_import_aggregation = True
