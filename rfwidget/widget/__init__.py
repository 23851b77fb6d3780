"""The notebook wing: receptive fields live on an image."""

from rfwidget.widget.linked import link
from rfwidget.widget.rf_widget import RFWidget

__all__ = ["RFWidget", "link"]
