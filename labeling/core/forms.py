"""How forms are drawn: our own templates for a form and for a field."""

from __future__ import annotations

from django.forms.renderers import TemplatesSetting


class LoopFormRenderer(TemplatesSetting):
    """`{{ form }}` is `components/form.html`, each field `components/field.html`."""

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"
