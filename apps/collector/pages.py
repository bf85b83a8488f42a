"""The only page a visitor sees here: the offer behind a link is over."""

from apps.collector.http import Answer

STYLE = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem;color:#1c2733}"
GONE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>This offer is over</title>
<style>{STYLE}</style>
<h1>This offer is over</h1>
<p>The link you followed no longer leads anywhere. The shop itself may well be open: please look it up by its name.</p>
</html>
"""


def gone() -> Answer:
    headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
    return Answer(410, GONE.encode(), "text/html; charset=utf-8", headers)
