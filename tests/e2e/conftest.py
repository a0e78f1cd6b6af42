"""The service as a whole, in the short run on one kind of server: it is the contracts that show where kinds differ."""

from tests.kinds import ONE_UNLESS_LONG, shared_server

server = shared_server(ONE_UNLESS_LONG)
