"""Prints a port of the loopback that no one listens on."""

import socket

with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1])
