// A front end of LiveKit's own parts, as its starter applications are made of them; bundled by build.mjs.
// The page tells what its hooks told it in window.seen, and is told what to do by window.session.
import { RoomAudioRenderer, SessionProvider, useAgent, useSession, useSessionMessages } from "@livekit/components-react";
import { TokenSource } from "livekit-client";
import { useEffect, useMemo } from "react";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(window.location.search);
window.seen = { states: [], connection: "", failures: [], messages: [], speaking: 0 };

function App() {
  const headers = { Authorization: `Bearer ${query.get("key")}` };
  const source = useMemo(() => TokenSource.endpoint(query.get("tokens"), { headers }), []);
  const session = useSession(source, { agentName: query.get("agent"), participantName: "Ada" });
  const agent = useAgent(session);
  const { messages, send } = useSessionMessages(session);
  useEffect(() => {
    window.session = { start: session.start, end: () => session.end(), send, room: session.room };
  });
  useEffect(() => {
    window.seen.states.push(agent.state);
    if (agent.failureReasons) window.seen.failures.push(...agent.failureReasons);
  }, [agent.state]);
  window.seen.connection = session.connectionState;
  window.seen.microphone = Boolean(agent.microphoneTrack);
  window.seen.messages = messages.map(({ type, message, from }) => ({ type, message, from: from?.identity ?? "" }));
  return (
    <SessionProvider session={session}>
      <RoomAudioRenderer />
    </SessionProvider>
  );
}

createRoot(document.getElementById("root")).render(<App />);
