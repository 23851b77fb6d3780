"""The notebook wing: receptive fields live on an image."""

from rfwidget.widget.rf_widget import RFWidget

__all__ = ["RFWidget"]
