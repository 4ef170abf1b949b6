// The component of the guide in a page; strict, so that it is mounted, taken away and mounted again.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Voice } from "./voice";

createRoot(document.getElementById("root")).render(<StrictMode><Voice /></StrictMode>);
