"""``parley.tts.v1`` between two processes of one machine: the same messages as over gRPC, on a Unix socket.

gRPC's asyncio side hands every message to a thread of its own at both ends. Here one event loop writes to the socket
and the other reads from it, which saves about a millisecond of each reply's first frame.
"""
