// LiveKit rooms, for `new Session({ livekit: () => import("@parley/client/livekit") })`.

export { LiveKitConnection } from "./connection/livekit.js";
