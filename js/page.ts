/** The script of pages of signals and images. */

import { startPages } from "./start-pages.js";
import { flat } from "./view/flat.js";

startPages(flat);
