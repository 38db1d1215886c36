"""The local control API: message types, client, server. All that a front-end may import."""
