"""Plain forms in the console's look, and how a refusal lands on the field it names."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import Refusal
from apps.core.money import digits

CLASSES = {
    forms.Select: "tb-select",
    forms.SelectMultiple: "tb-select",
    forms.Textarea: "tb-textarea",
    forms.CheckboxInput: "tb-check",
}


class PlainForm(forms.Form):
    """A form whose widgets carry the console's classes; `required_css_class` marks what must be filled."""

    use_required_attribute = False
    wide: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("class", CLASSES.get(type(field.widget), "tb-input"))
            field.is_wide = name in self.wide
            if field.help_text:
                field.widget.attrs.setdefault("aria-describedby", f"{self.add_prefix(name)}-help")

    def refuse(self, refusal: Refusal) -> None:
        """Show a refusal at the field its path names, else above the form."""
        refuse(self, refusal)


def refuse(form: forms.BaseForm, refusal: Refusal) -> None:
    named = [part for part in refusal.path.replace("]", "").replace("[", ".").split(".") if part in form.fields]
    form.add_error(named[-1] if named else None, refusal.message)


class OwnedForm(forms.ModelForm):
    """A model form that knows its row's advertiser, so that constraints are answered and not run into.

    `refusal` is what the service said to the same values a moment ago: the form is shown again with it.
    """

    advertiser: Any = None
    fixed: tuple[str, ...] = ()
    refusal: Refusal | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal is not None:
            refuse(self, self.refusal)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"advertiser", *self.fixed}

    def _post_clean(self) -> None:
        if self.advertiser is not None:
            self.instance.advertiser = self.advertiser
        super()._post_clean()


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, str] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%dT%H:%M")


class MomentField(forms.DateTimeField):
    """A moment shown to the minute: unchanged where its minute is, so that seconds survive a form that is sent back."""

    widget = MomentInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (self.widget.format_value(self.prepare_value(initial)) or "") != (data or "")


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self, attrs: dict[str, str] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


class MinorField(forms.DecimalField):
    """An amount that people write in whole units of a currency and the database keeps in minor ones."""

    def __init__(self, *, currency: str, **kwargs: Any) -> None:
        self.places = digits(currency)
        super().__init__(decimal_places=self.places, max_digits=15, min_value=0, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value).scaleb(-self.places):f}" if isinstance(value, int) else value

    def clean(self, value: Any) -> int | None:
        amount = super().clean(value)
        return None if amount is None else int(amount.scaleb(self.places))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class StartField(forms.DateTimeField):
    """The moment a version holds from: now or later, so that what is settled keeps its version."""

    def __init__(self) -> None:
        text = gettext_lazy("Conversions from this moment on follow the new version; those before keep theirs.")
        super().__init__(label=gettext_lazy("Holds from"), widget=MomentInput(), help_text=text)

    def clean(self, value: Any) -> datetime:
        at, now = super().clean(value), timezone.now()
        if at >= now:
            return at
        if at == now.replace(second=0, microsecond=0):
            return now
        raise forms.ValidationError(_("A version holds from now or later; settled conversions keep theirs."))
