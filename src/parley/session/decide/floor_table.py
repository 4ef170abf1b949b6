"""Whose turn is it? Two coupled automata, participant and agent, as one table.

The table maps an event and both states to both states and a list of orders. What is not in the
table cannot happen: :meth:`Machine.handle` raises InvalidTransition and changes nothing. The
engine carries out the orders; nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import product
from typing import NamedTuple, Protocol

from parley.errors import InvalidTransition


class Participant(Enum):
    """The person."""

    SILENT = "silent"
    SPEAKING = "speaking"


class Agent(Enum):
    """Us."""

    IDLE = "idle"
    """Nobody has the floor."""
    LISTENING = "listening"
    """The participant's turn is open, though they may be pausing."""
    THINKING = "thinking"
    """Their turn is over; the reply has not made a sound yet."""
    SPEAKING = "speaking"
    BARGED_IN = "barged_in"
    """The reply is on hold, down to the sample (before its first one, too), until it is known what the sound was."""
    TERMINATED = "terminated"


class Event(Enum):
    """Facts."""

    SPEECH_STARTED = "speech_started"
    """The participant speaks: they begin a turn, or go on with one whose reply nobody has heard."""
    EVIDENCE_FOUND = "evidence_found"
    """Something that may be speech sounds over the reply, or while one is on its way that answers no spoken turn."""
    SPEECH_ENDED = "speech_ended"
    """The participant is silent, perhaps only for a moment."""
    FLOOR_TAKEN = "floor_taken"
    """The sound over the reply was meant to interrupt it."""
    REPLY_KEPT = "reply_kept"
    """It was a nod, a noise or the agent's own echo."""
    REPLY_AWAITED = "reply_awaited"
    """So it was, and the reply has still to make its first sound."""
    TURN_ENDED = "turn_ended"
    """The participant has finished, or said so."""
    TURN_EMPTY = "turn_empty"
    """There was nothing to understand in the turn, or it is answered by whoever asks for that."""
    TURN_CLEARED = "turn_cleared"
    """What the participant was saying is not to be a turn: their client said so."""
    NOT_UNDERSTOOD = "not_understood"
    """There was speech in it, clearly, but no words were understood: the agent says so."""
    TEXT_TYPED = "text_typed"
    """A turn was typed, or a reply to the conversation was asked for."""
    TEXT_GIVEN = "text_given"
    """Text from outside is to be spoken as it is."""
    UNDERSTOOD_LATE = "understood_late"
    """What was said over a reply is understood only after it, and wants an answer."""
    RESULT_CAME = "result_came"
    """Something that ran in the background is done, and wants to be told."""
    REPLY_READY = "reply_ready"
    """The first frame of the reply is there."""
    PLAYOUT_FINISHED = "playout_finished"
    """The reply was heard to its end."""
    REPLY_FAILED = "reply_failed"
    """There is nothing (more) to be heard of the reply."""
    INTERRUPTED = "interrupted"
    """A button says stop."""
    SESSION_ENDED = "session_ended"


class Action(Enum):
    """Orders."""

    OPEN_TURN = auto()
    """Begin to recognise a new turn, from a little before now."""
    REOPEN_TURN = auto()
    """They went on: what they say belongs to the turn before, whose reply nobody has heard."""
    WATCH_SPEECH = auto()
    """Recognise what is said over the reply, without calling it a turn yet."""
    ADOPT_SPEECH = auto()
    """What is being said over the reply is a turn."""
    DROP_SPEECH = auto()
    """It was none."""
    AWAIT_END = auto()
    """Start to measure the silence that may end the turn."""
    CLOSE_TURN = auto()
    """No more audio for this turn: get its final transcript, then the reply."""
    ABANDON_TURN = auto()
    """Keep what was said of the open turn, and answer it no more."""
    FORGET_TURN = auto()
    """There never was one: not even what was understood is kept."""
    ANSWER_TEXT = auto()
    """Begin the reply to a turn that came as text."""
    ANSWER_RESULTS = auto()
    """Begin the reply to what was done in the background."""
    SPEAK_TEXT = auto()
    """Begin to speak text from outside."""
    PAUSE_REPLY = auto()
    """Silence at once; keep everything."""
    RESUME_REPLY = auto()
    """Go on with the very next sample."""
    DISCARD_REPLY = auto()
    """Drop a reply that nobody has heard."""
    WITHHOLD_REPLY = auto()
    """Nobody has heard it: keep it, in case that nothing is added to the turn that it answers."""
    CANCEL_REPLY = auto()
    """Stop, and keep in mind what was heard."""
    BEGIN_PLAYOUT = auto()
    FINISH_REPLY = auto()
    HANG_UP = auto()


class States(NamedTuple):
    """Both automata."""

    participant: Participant
    agent: Agent


class Step(NamedTuple):
    """What follows from an event: the states after it, and the orders."""

    states: States
    actions: tuple[Action, ...] = ()


SILENT, SPEAKING = Participant.SILENT, Participant.SPEAKING
IDLE, LISTENING, THINKING = Agent.IDLE, Agent.LISTENING, Agent.THINKING
TALKING, BARGED_IN, TERMINATED = Agent.SPEAKING, Agent.BARGED_IN, Agent.TERMINATED
_BOTH = (SILENT, SPEAKING)
_ALIVE = (IDLE, LISTENING, THINKING, TALKING, BARGED_IN)

Table = dict[tuple[Event, Participant, Agent], Step]


class _Entry(Protocol):
    def __call__(
        self, event: Event, participant: Participant, agent: Agent, then: States, *actions: Action
    ) -> None: ...


def _table() -> Table:
    table: Table = {}

    def on(event: Event, participant: Participant, agent: Agent, then: States, *actions: Action) -> None:
        assert (event, participant, agent) not in table, "an entry may be written once"
        table[event, participant, agent] = Step(then, actions)

    _speech(on)
    _reply(on)
    _orders(on)
    return table


def _speech(on: _Entry) -> None:
    started, ended = Event.SPEECH_STARTED, Event.SPEECH_ENDED
    on(started, SILENT, IDLE, States(SPEAKING, LISTENING), Action.OPEN_TURN)
    on(started, SILENT, LISTENING, States(SPEAKING, LISTENING))
    on(started, SILENT, THINKING, States(SPEAKING, LISTENING), Action.WITHHOLD_REPLY, Action.REOPEN_TURN)

    # Over a reply, evidence comes first; the reply may be on hold already, or its sound be known as no turn.
    # A reply that nobody interrupted is not lost to a cough before its first sound either.
    evidence = Event.EVIDENCE_FOUND
    on(evidence, SILENT, THINKING, States(SPEAKING, BARGED_IN), Action.PAUSE_REPLY, Action.WATCH_SPEECH)
    on(evidence, SILENT, TALKING, States(SPEAKING, BARGED_IN), Action.PAUSE_REPLY, Action.WATCH_SPEECH)
    on(evidence, SPEAKING, TALKING, States(SPEAKING, BARGED_IN), Action.PAUSE_REPLY)
    on(evidence, SILENT, BARGED_IN, States(SPEAKING, BARGED_IN))

    on(ended, SPEAKING, IDLE, States(SILENT, IDLE))
    on(ended, SPEAKING, LISTENING, States(SILENT, LISTENING), Action.AWAIT_END)
    on(ended, SPEAKING, THINKING, States(SILENT, THINKING), Action.DROP_SPEECH)
    on(ended, SPEAKING, TALKING, States(SILENT, TALKING), Action.DROP_SPEECH)
    on(ended, SPEAKING, BARGED_IN, States(SILENT, BARGED_IN))

    on(Event.FLOOR_TAKEN, SPEAKING, BARGED_IN, States(SPEAKING, LISTENING), Action.CANCEL_REPLY, Action.ADOPT_SPEECH)
    on(
        Event.FLOOR_TAKEN,
        SILENT,
        BARGED_IN,
        States(SILENT, LISTENING),
        Action.CANCEL_REPLY,
        Action.ADOPT_SPEECH,
        Action.AWAIT_END,
    )
    # A change of mind: the words came after the reply had been let go on.
    on(Event.FLOOR_TAKEN, SPEAKING, TALKING, States(SPEAKING, LISTENING), Action.CANCEL_REPLY, Action.ADOPT_SPEECH)
    on(
        Event.FLOOR_TAKEN,
        SILENT,
        TALKING,
        States(SILENT, LISTENING),
        Action.CANCEL_REPLY,
        Action.ADOPT_SPEECH,
        Action.AWAIT_END,
    )
    on(Event.FLOOR_TAKEN, SPEAKING, THINKING, States(SPEAKING, LISTENING), Action.DISCARD_REPLY, Action.ADOPT_SPEECH)
    on(
        Event.FLOOR_TAKEN,
        SILENT,
        THINKING,
        States(SILENT, LISTENING),
        Action.DISCARD_REPLY,
        Action.ADOPT_SPEECH,
        Action.AWAIT_END,
    )
    for kept, agent in ((Event.REPLY_KEPT, TALKING), (Event.REPLY_AWAITED, THINKING)):
        on(kept, SPEAKING, BARGED_IN, States(SPEAKING, agent), Action.RESUME_REPLY)
        on(kept, SILENT, BARGED_IN, States(SILENT, agent), Action.RESUME_REPLY, Action.DROP_SPEECH)

    for participant in _BOTH:
        on(Event.TURN_ENDED, participant, LISTENING, States(participant, THINKING), Action.CLOSE_TURN)
        on(Event.TURN_CLEARED, participant, LISTENING, States(participant, IDLE), Action.FORGET_TURN)
        for nothing in (Event.TURN_EMPTY, Event.NOT_UNDERSTOOD):
            on(nothing, participant, THINKING, States(participant, IDLE), Action.DISCARD_REPLY)


def _reply(on: _Entry) -> None:
    for participant in _BOTH:
        on(Event.REPLY_READY, participant, THINKING, States(participant, TALKING), Action.BEGIN_PLAYOUT)
    finished, failed = Event.PLAYOUT_FINISHED, Event.REPLY_FAILED
    on(finished, SILENT, TALKING, States(SILENT, IDLE), Action.FINISH_REPLY)
    on(failed, SILENT, TALKING, States(SILENT, IDLE), Action.FINISH_REPLY)
    on(failed, SILENT, THINKING, States(SILENT, IDLE), Action.FINISH_REPLY)
    # Whoever still speaks when the reply is over has the floor.
    on(finished, SPEAKING, TALKING, States(SPEAKING, LISTENING), Action.FINISH_REPLY, Action.ADOPT_SPEECH)
    on(failed, SPEAKING, TALKING, States(SPEAKING, LISTENING), Action.FINISH_REPLY, Action.ADOPT_SPEECH)
    on(failed, SPEAKING, THINKING, States(SPEAKING, LISTENING), Action.FINISH_REPLY, Action.ADOPT_SPEECH)
    on(failed, SPEAKING, BARGED_IN, States(SPEAKING, LISTENING), Action.FINISH_REPLY, Action.ADOPT_SPEECH)
    on(
        failed,
        SILENT,
        BARGED_IN,
        States(SILENT, LISTENING),
        Action.FINISH_REPLY,
        Action.ADOPT_SPEECH,
        Action.AWAIT_END,
    )


def _orders(on: _Entry) -> None:
    typed, stop = Event.TEXT_TYPED, Event.INTERRUPTED
    stopping: dict[Agent, tuple[Action, ...]] = {
        IDLE: (),
        LISTENING: (Action.ABANDON_TURN,),
        THINKING: (Action.DISCARD_REPLY,),
        TALKING: (Action.CANCEL_REPLY,),
        BARGED_IN: (Action.CANCEL_REPLY,),
    }
    for participant, agent in product(_BOTH, _ALIVE):
        over_reply = participant is SPEAKING and agent in (THINKING, TALKING)
        speech = (Action.DROP_SPEECH,) if agent is BARGED_IN or over_reply else ()
        on(typed, participant, agent, States(participant, THINKING), *stopping[agent], *speech, Action.ANSWER_TEXT)
        if agent in (IDLE, LISTENING):
            on(stop, participant, agent, States(participant, agent))  # there is nothing to stop
        elif participant is SPEAKING:
            on(stop, participant, agent, States(SPEAKING, LISTENING), *stopping[agent], Action.ADOPT_SPEECH)
        else:
            on(stop, participant, agent, States(SILENT, IDLE), *stopping[agent], *speech)
        if agent is IDLE:
            on(Event.TEXT_GIVEN, participant, agent, States(participant, THINKING), Action.SPEAK_TEXT)
            on(Event.UNDERSTOOD_LATE, participant, agent, States(participant, THINKING), Action.ANSWER_TEXT)
            if participant is SILENT:  # never over a speaker
                on(Event.RESULT_CAME, participant, agent, States(participant, THINKING), Action.ANSWER_RESULTS)
        orders = (*stopping[agent], *speech, Action.HANG_UP)
        on(Event.SESSION_ENDED, participant, agent, States(participant, TERMINATED), *orders)


TABLE: Table = _table()
"""The whole truth."""


class Machine:
    """The states of one session."""

    def __init__(self) -> None:
        self.states = States(SILENT, IDLE)

    @property
    def participant(self) -> Participant:
        return self.states.participant

    @property
    def agent(self) -> Agent:
        return self.states.agent

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Move, and return the orders. Raises InvalidTransition, and stays, when the table has no entry."""
        step = TABLE.get((event, *self.states))
        if step is None:
            raise InvalidTransition(
                f"The event {event.value} cannot happen while the participant is {self.participant.value} "
                f"and the agent is {self.agent.value}."
            )
        self.states = step.states
        return step.actions

    def knows(self, event: Event) -> bool:
        """True when the event can happen now."""
        return (event, *self.states) in TABLE


def diagram() -> str:
    """The table as a Mermaid state diagram: the agent's states, and what moves it from one to the other."""
    lines = ["stateDiagram-v2", "    [*] --> idle"]
    lines += [f"    {before} --> {after} : {', '.join(events)}" for before, after, events in _edges()]
    return "\n".join([*lines, "    terminated --> [*]"]) + "\n"


def _edges() -> Iterator[tuple[str, str, list[str]]]:
    """Pairs of agent states with the events between them, in the table's order; loops are left out."""
    events: dict[tuple[Agent, Agent], dict[str, None]] = {}
    for (event, _, agent), step in TABLE.items():
        if agent is not step.states.agent and event is not Event.SESSION_ENDED:
            events.setdefault((agent, step.states.agent), {})[event.value] = None
    for (before, after), names in sorted(events.items(), key=lambda item: _order(item[0])):
        yield before.value, after.value, list(names)
    for agent in _ALIVE:
        yield agent.value, TERMINATED.value, [Event.SESSION_ENDED.value]


def _order(agents: Iterable[Agent]) -> list[int]:
    positions = list(Agent)
    return [positions.index(agent) for agent in agents]
