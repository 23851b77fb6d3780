/** The script of pages of volumes. */

import { startPages } from "./start-pages.js";
import { sections } from "./view/sections.js";

startPages(sections);
