// Talk with Parley from any page: `new Session({ server })`, `connect()` from a gesture, `on("change", ...)`.

export { PageAudio, type Reading } from "./audio/audio.js";
export { loudspeakers, microphones, onMicrophones } from "./audio/microphone.js";
export { captionOf, placeOf, type Caption, type Place } from "./captions.js";
export type { Connection, ConnectionHandlers } from "./connection/connection.js";
export type { ServerAddress } from "./connection/server.js";
export { initial, mood, reduce, stateInWords, WELCOME_BACK, type Entry, type Link, type Model, type ModelEvent, type Mood, type Turn } from "./model.js";
export { fetchModels, fetchOffers, loadModel, speak, unloadModel, type Offers, type TransportName, type VoiceModel } from "./offers.js";
export { ServerProblem, type Trouble, type TroubleCode } from "./problems.js";
export * from "./protocol.js";
export { AUDIBLE, Session, type Moment, type Rooms, type SessionEvents, type Settings } from "./session.js";
