/** The module that anywidget loads for signals and images. */

import type { AnyWidget } from "@anywidget/types";
import type { SyncedState } from "./protocol.js";
import { flat } from "./view/flat.js";
import { layerPainter } from "./view/painter.js";
import { widgetOf } from "./widget.js";

export default (() => widgetOf(flat, layerPainter)) satisfies AnyWidget<SyncedState>;
