"""What API bodies have in common."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys it does not know, so that a misspelt one is never silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        """ValidationError names the first unknown key."""
        if isinstance(data, dict) and (unknown := sorted(str(key) for key in set(data) - set(self.fields))):
            raise serializers.ValidationError({unknown[0]: [f"Unknown field; known: {', '.join(self.fields)}."]})
        return super().to_internal_value(data)


class ErrorSerializer(serializers.Serializer[Any]):
    """Every error."""

    detail = serializers.CharField(help_text="What is wrong and what to do.")
    code = serializers.CharField(help_text="A word for programs.")
    field = serializers.CharField(required=False, help_text="The field that is to blame.")
