// Code for the audio thread, which travels inside the script: whoever bundles it need not know of more files.

import { INSECURE_PAGE, TroubleError } from "../problems.js";

const addresses = new Map<string, string>();

/** Make the processors of this source known to the context. Raises an Error where the page's policy forbids `blob:`, a TroubleError where the page is insecure. */
export async function addWorklet(context: AudioContext, source: string): Promise<void> {
  // Browsers keep it from pages that came over plain HTTP, as they keep the microphone.
  if (!("audioWorklet" in context) || !context.audioWorklet) throw new TroubleError(INSECURE_PAGE);
  let address = addresses.get(source);
  if (!address) {
    address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    addresses.set(source, address);
  }
  try {
    await context.audioWorklet.addModule(address);
  } catch {
    throw new Error("The browser does not start the sound. A page with a content security policy has to allow script-src blob:.");
  }
}
