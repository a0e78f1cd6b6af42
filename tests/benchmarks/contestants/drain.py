"""A subscriber that keeps nothing: what the publisher and the server can do when nobody holds them up."""

import os
import socket
from urllib.parse import urlsplit

server = urlsplit(os.environ["KV_UPDATER_REDIS_URL"])
with socket.create_connection((server.hostname, server.port)) as subscription:
    subscription.sendall(f"SUBSCRIBE {os.environ['KV_UPDATER_CHANNEL']}\r\n".encode())
    buffer = bytearray(1 << 20)
    while subscription.recv_into(buffer):
        pass
