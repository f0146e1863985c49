"""A catalog over HTTP: a JSON API and the web page to listen with."""
