// Code for the audio thread, which travels inside the script: whoever bundles it need not know of more files.

const addresses = new Map<string, string>();

/** Make the processors of this source known to the context. Raises an Error where the page's policy forbids `blob:`. */
export async function addWorklet(context: AudioContext, source: string): Promise<void> {
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
