"""A session on disk: everything that went into the engine, with its times, and what came of it.

Off unless ``recording.enabled`` is set. ``recorder`` wraps the seams of a session and writes;
``parley.replay`` gives the same inputs to the same engine again, in virtual time.
"""

from parley.recording.format import Entry, Recording, read_recording
from parley.recording.recorder import SessionRecorder
from parley.recording.retention import remove_expired
from parley.recording.settings import RecordingSettings

__all__ = ["Entry", "Recording", "RecordingSettings", "SessionRecorder", "read_recording", "remove_expired"]
