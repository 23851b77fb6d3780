"""Texts that become code wherever text is taken for markup, and an estimator all of whose names are such texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfwidget.network import Patch
from tests.box_filter import BoxNetwork, BoxReceptiveField

ACTION = "window.canary=1"
"""What a payload does if it runs."""

_TAGS = (
    "<script>{}</script>",
    "<SCRIPT SRC=http://evil.invalid/x.js></SCRIPT>",
    "<img src=x onerror={}>",
    "<img src=http://evil.invalid/beacon.png>",
    '<img src="x" onerror="{}">',
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<math><mtext></mtext><script>{}</script></math>",
    "<iframe srcdoc='<script>parent.canary=1</script>'></iframe>",
    "<iframe src=javascript:parent.canary=1></iframe>",
    "<object data=javascript:{}></object>",
    "<embed src=javascript:{}>",
    "<body onload={}>",
    "<details open ontoggle={}>",
    "<video><source onerror={}></video>",
    "<audio src=x onerror={}>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}>",
    "<marquee onstart={}>",
    "<style onload={}></style>",
    "<style>@import 'http://evil.invalid/x.css';</style>",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<base href=http://evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    "<form><button formaction=javascript:{} autofocus>",
    "<a href=javascript:{}>x</a>",
    "<div style='background:url(http://evil.invalid/x)'>",
    "<div onmouseover={}>",
    "<template><script>{}</script></template><img src=x onerror={}>",
    "<noscript><img src=x onerror={}></noscript>",
    "<xmp><img src=x onerror={}></xmp>",
    "<table background=http://evil.invalid/x>",
)
_PREFIXES = ("", '">', "</script></style></title></textarea>")
_OTHERS = (
    "javascript:{}",
    "data:text/html,<script>{}</script>",
    "${{{}}}",
    "{{{{{}}}}}",
    "`${{{}}}`",
    "'-{}-'",
    "*/{}/*",
    "--><script>{}</script><!--",
    "]]><script>{}</script>",
    "\\u003cscript\\u003e{}\\u003c/script\\u003e",
    "&lt;script&gt;{}&lt;/script&gt;",
    "$\\href{{javascript:{}}}{{x}}$",
    "[x](javascript:{})",
    "![x](http://evil.invalid/x.png)",
)
PAYLOADS = [
    *(prefix + tag.replace("{}", ACTION) for tag in _TAGS for prefix in _PREFIXES),
    *(other.format(ACTION) for other in _OTHERS),
]
"""More than a hundred different ones."""


class _FailingNetwork(BoxNetwork):
    """Fails with the payloads of its names in the message."""

    def gradient(self, *_: Any) -> Patch:
        raise RuntimeError("".join(PAYLOADS))


class HostileReceptiveField(BoxReceptiveField):
    """One layer for each payload, and one for all of them together; the one named ``fails`` raises them."""

    LAYERS = {  # noqa: RUF012 - a constant
        **dict.fromkeys(PAYLOADS, BoxReceptiveField.LAYERS["wide"]),
        "".join(PAYLOADS): BoxReceptiveField.LAYERS["tall"],
        "fails": BoxReceptiveField.LAYERS["tall"],
    }

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        **options: Any,
    ) -> BoxNetwork:
        network = super()._build(input_shape, input_layer or PAYLOADS[0], output_layer or PAYLOADS[0], **options)
        if output_layer == "fails":
            network.__class__ = _FailingNetwork
        return network
