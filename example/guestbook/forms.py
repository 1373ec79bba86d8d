"""The form that signs the book."""

from django import forms

from guestbook.images import ACCEPT
from guestbook.models import MAX_TEXT, Entry


class EntryForm(forms.ModelForm):
    """A new entry."""

    class Meta:
        model = Entry
        fields = ["text", "image"]
        labels = {"text": "Your message", "image": "Picture"}
        widgets = {
            "text": forms.Textarea(
                attrs={"rows": 3, "maxlength": MAX_TEXT, "placeholder": "Say something kind…"}
            ),
            "image": forms.FileInput(attrs={"accept": ACCEPT}),
        }
        error_messages = {"text": {"required": "Please write something first."}}
