"""Generated from proto/parley/tts/v1/tts.proto by scripts/gen_proto.py; do not edit."""
