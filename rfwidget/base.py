"""The estimator under its first name, which wings of third parties import; see `rfwidget.estimator`."""

from rfwidget._progress import Progress as Progress
from rfwidget.estimator import ReceptiveField as ReceptiveField
