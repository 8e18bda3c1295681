// Where answers come from: a server, or the page itself if it is a saved view.

import { FrozenSource } from "./frozen_source.js";
import { LiveSource } from "./live_source.js";

const embedded = document.getElementById("answers");
export const source = embedded ? new FrozenSource(JSON.parse(embedded.textContent)) : new LiveSource();
