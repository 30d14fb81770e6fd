"""Reads products by id through Python's HTTP clients, quoted as their documentation says.

Takes the base URL as its argument and a JSON array of ids on standard input; prints as JSON the ids
that a client did not read back, by client.
"""
import json
import sys
from urllib.parse import quote

import httpx
import requests

base = sys.argv[1]
ids = json.load(sys.stdin)
lost = {}
with requests.Session() as requests_client, httpx.Client(timeout=60) as httpx_client:
    for name, client in (("requests", requests_client), ("httpx", httpx_client)):
        answers = {id: client.get(f"{base}/api/v1/products/{quote(id, safe='')}") for id in ids}
        lost[name] = [
            id
            for id, answer in answers.items()
            if answer.status_code != 200 or answer.json()["id"] != id
        ]
print(json.dumps(lost))
