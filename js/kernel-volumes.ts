/** The module that anywidget loads for volumes. */

import type { AnyWidget } from "@anywidget/types";
import type { SyncedState } from "./protocol.js";
import { sections } from "./view/sections.js";
import { widgetOf } from "./widget.js";

export default (() => widgetOf(sections, null)) satisfies AnyWidget<SyncedState>;
