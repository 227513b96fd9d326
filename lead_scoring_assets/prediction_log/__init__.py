"""The prediction log: what the API answered, one line for each request, before it answered."""
